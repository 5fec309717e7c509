"""Partitions that were added to the events topic: where the users of a new one come from.

A topic grows to a multiple of its partitions only. Producers choose a partition by a hash of the key, modulo
their number. So a user of partition p, of ``old_count`` and more, was in partition p modulo ``old_count``
before, whatever the hash is; and users of the old partitions stay, or leave for a new one for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import msgspec

GROWTH: Final = "growth"
GROWTH_PARTITION: Final = 0
"""The ledger's partition that tells of growth: it is there however few there are."""


class Growth(NamedTuple):
    """Partitions were added to ``len(ends)`` old ones.

    ``ends`` are the offsets behind the last record that could be read of each old one, just before.
    """

    ends: tuple[int, ...]

    @property
    def old_count(self) -> int:
        """How many partitions there were before."""
        return len(self.ends)


class Ancestor(NamedTuple):
    """A partition that users were in before, and how far it must be written before they are taken over."""

    partition: int
    end: int


def growth_record(topic_id: str, ends: Sequence[int]) -> tuple[bytes, bytes]:
    """Return the key and value under which the ledger keeps a growth.

    Ends never fall, so a growth that was broken off and tried again has another key or the same value.
    """
    key = f"|{topic_id}|{GROWTH}|{len(ends)}.{sum(ends)}"
    return key.encode(), msgspec.json.encode({"ends": ends})


def read_growth(value: bytes) -> Growth:
    """Return the growth in the value of a `growth_record`."""
    return Growth(tuple(msgspec.json.decode(value)["ends"]))


def ancestors(partition: int, growths: Iterable[Growth]) -> tuple[Ancestor, ...]:
    """Return where the users of ``partition`` may have states, the newest place first; none for a first one.

    Of several growths from the same number of partitions, the one with the largest ends counts: the others
    were recorded, and broken off before any partition was added.
    """
    newest: dict[int, Growth] = {}
    for growth in sorted(growths, key=lambda one: sum(one.ends)):
        newest[growth.old_count] = growth
    found, at = [], partition
    for old_count in sorted(newest, reverse=True):
        if at >= old_count:
            at %= old_count
            found.append(Ancestor(at, newest[old_count].ends[at]))
    return tuple(found)
