"""Partitions that were added to the events topic: where the users of a new one come from.

A topic grows to a multiple of its partitions only. Producers choose a partition by a hash of the key, modulo
their number. So a user of partition p, of ``old_count`` and more, was in partition p modulo ``old_count``
before, whatever the hash is; and users of the old partitions stay, or leave for a new one for good.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

import msgspec

GROWTH: Final = "growth"
GROWTH_PARTITION: Final = 0
"""The ledger's partition that tells of growth: it is there however few there are."""
COUNT: Final = "partitions"


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


def count_record(topic_id: str, count: int) -> tuple[bytes, bytes]:
    """Return the key and value under which the ledger keeps that a worker saw ``count`` partitions."""
    return f"|{topic_id}|{COUNT}|{count}".encode(), msgspec.json.encode({"count": count})


class GrowthRecords(NamedTuple):
    """What the ledger says of how a topic grew: its growths, and the numbers of partitions that were seen.

    A number is noted only if it had come about by growths that were recorded.
    """

    growths: tuple[Growth, ...]
    counts: frozenset[int]

    @classmethod
    def of(cls, topic_id: str, seen: Mapping[str, bytes]) -> GrowthRecords:
        """Return what the records in `GROWTH_PARTITION` say of the topic; others are left out."""
        about, noted = f"|{topic_id}|{GROWTH}|", f"|{topic_id}|{COUNT}|"
        return cls(
            tuple(read_growth(value) for key, value in seen.items() if key.startswith(about)),
            frozenset(int(key.removeprefix(noted)) for key in seen if key.startswith(noted)),
        )


def explained(count: int, noted: Collection[int], growths: Iterable[Growth]) -> bool:
    """Return whether a topic has ``count`` partitions by growths that were recorded.

    ``noted`` are numbers that it had before; without any, it is taken for rightly made. A growth with another
    tool right behind a recorded one, before a worker saw that, looks like a part of it.
    """
    steps = sorted({growth.old_count for growth in growths if growth.old_count < count})
    at = max(noted, default=min(steps, default=count))
    if count <= at:
        return True
    chain = [*(step for step in steps if step >= at), count]
    return chain[0] == at and all(after % before == 0 for before, after in pairwise(chain))


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
