"""Packed events in partition files by user, and each partition put in order."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from model_store.sequences import Ints, in_order
from model_store.windows import EVENT_ROW, Rows, rows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Self

_SPILLED: Final = np.dtype([("user", "<u8"), ("row", EVENT_ROW)])

Spilled = npt.NDArray[np.void]


class Partitions:
    """Files in ``directory`` that hold all events of some users each, in the order of the log."""

    def __init__(self, directory: Path, count: int) -> None:
        directory.mkdir(parents=True)
        self._paths = [directory / f"{number}.events" for number in range(count)]
        self._stack = ExitStack()
        self._files = [self._stack.enter_context(path.open("wb")) for path in self._paths]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def add(self, packed: bytes, users: Sequence[int]) -> None:
        """Write events, in the order of the log: their packed rows and their users' hashes."""
        spilled = np.empty(len(users), _SPILLED)
        spilled["user"] = users
        spilled["row"] = rows_of(packed)
        partition = spilled["user"] % np.uint64(len(self._files))
        spilled = spilled[np.argsort(partition, kind="stable")]
        ends = np.cumsum(np.bincount(partition.astype(np.int64), minlength=len(self._files)))
        for file, start, end in zip(self._files, [0, *ends[:-1]], ends, strict=True):
            file.write(spilled[start:end].data)

    def sorted(self) -> Iterator[tuple[Rows, Ints]]:
        """Yield each partition's rows and user numbers, in order of user, then of time; its file is removed.

        Numbers ascend over all partitions. Of a user's events with one id the first in time is kept.
        """
        for file in self._files:
            file.close()
        users = 0
        for path in self._paths:
            rows, user = _in_order(np.fromfile(path, _SPILLED))
            path.unlink()
            yield rows, user + users
            users += int(user[-1]) + 1 if len(user) else 0


def _in_order(spilled: Spilled) -> tuple[Rows, Ints]:
    """Return the rows and the user numbers of one partition, users from 0 by their first place in the log."""
    hashes, first, number = np.unique(spilled["user"], return_index=True, return_inverse=True)
    rank = np.empty(len(hashes), np.int64)
    rank[np.argsort(first)] = np.arange(len(hashes))
    return in_order(spilled["row"], rank[number])
