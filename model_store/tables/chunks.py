"""Going through arrays of any length a stretch at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

    import numpy.typing as npt

CHUNK_EVENTS: Final = 262_144


def chunk_bounds(count: int, chunk: int = CHUNK_EVENTS) -> Iterator[tuple[int, int]]:
    """Yield the first place of each stretch of ``count`` places and the one behind its last."""
    for start in range(0, count, chunk):
        yield start, min(start + chunk, count)


def counted(
    parts: Iterator[npt.NDArray[np.uint64]],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.int64]]:
    """Return the distinct values of all ``parts``, ascending, and how often each stands there."""
    values, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
    for part in parts:
        found, times = np.unique(part, return_counts=True)
        merged, places = np.unique(np.concatenate([values, found]), return_inverse=True)
        total = np.zeros(len(merged), np.int64)
        np.add.at(total, places, np.concatenate([counts, times]))
        values, counts = merged, total
    return values, counts


class ArrayFile:
    """An array that is appended to on disk, and is a `.npy` file once closed."""

    _HEADER_BYTES: Final = 1_024  # room for a length that is known only at the end

    def __init__(self, path: Path, dtype: np.dtype[np.generic]) -> None:
        self._dtype = dtype
        self._count = 0
        self._file: BinaryIO = path.open("wb")
        self._file.write(bytes(self._HEADER_BYTES))

    def append(self, values: npt.NDArray[np.generic]) -> None:
        """Write ``values`` [N] behind what is there."""
        self._file.write(np.ascontiguousarray(values, self._dtype).data)
        self._count += len(values)

    def close(self) -> None:
        """Write the header in front: version 1.0 of NumPy's format, padded to a fixed length."""
        described = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._count,),
        }
        magic = np.lib.format.magic(1, 0)
        room = self._HEADER_BYTES - len(magic) - 2
        text = repr(described).encode("latin1").ljust(room - 1) + b"\n"
        self._file.seek(0)
        self._file.write(magic + room.to_bytes(2, "little") + text)
        self._file.close()
