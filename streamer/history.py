"""Which model version scores which offsets of a partition, and from where on users' histories are cut.

A change of model is an event too: "from offset X on, version V" is acknowledged in the ledger before V first
publishes in a partition. Whoever reads those offsets again obeys it, so that a record has one prediction,
however often it is published.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple, Protocol

from model_store.serving import ServedModel
from streamer.growth import Ancestor
from streamer.memory import Slot
from streamer.records import DecodedBatch, FetchedBatch, SourcePartition


class ModelChange(NamedTuple):
    """From ``from_offset`` on, ``version`` scores the partition."""

    from_offset: int
    version: str


class HistoryCut(NamedTuple):
    """States were lost, and the topic no longer reached back: users that are new since then may be partial.

    They are until ``until_ms``, in Unix milliseconds: by then every state that was lost would have expired.
    """

    until_ms: int


@dataclass(frozen=True)
class PartitionHistory:
    """What the ledger says of one partition; ``changes`` in order of offset.

    ``ancestors`` are the partitions that its users were in before it was added, the newest first.
    """

    changes: tuple[ModelChange, ...] = ()
    cut: HistoryCut | None = None
    ancestors: tuple[Ancestor, ...] = ()

    @classmethod
    def of(
        cls,
        changes: Iterable[ModelChange],
        cuts: Iterable[HistoryCut] = (),
        ancestors: tuple[Ancestor, ...] = (),
    ) -> PartitionHistory:
        """Return the history of ``changes``, in the ledger's order: the first at an offset counts."""
        first: dict[int, ModelChange] = {}
        for change in changes:
            first.setdefault(change.from_offset, change)
        ordered = tuple(first[offset] for offset in sorted(first))
        return cls(ordered, max(cuts, default=None), ancestors)


class Piece(NamedTuple):
    """A part of a fetched batch that one version scores.

    ``change`` must be acknowledged in the ledger before the piece is published. A ``silent`` piece was
    published before: it only brings the states forward.
    """

    batch: FetchedBatch
    version: str
    change: ModelChange | None
    silent: bool


@dataclass
class ScoringPlan:
    """Says for one owned partition which version scores a batch.

    Before ``frontier`` something may have been published already, so the recorded versions are obeyed. Before
    ``silent_until`` everything was. While it is ``held``, the partition's records are not due: the partitions
    that its users come from are not written up to their ends.
    """

    history: PartitionHistory = field(default_factory=PartitionHistory)
    frontier: int = 0
    silent_until: int = 0
    held: bool = False

    def __post_init__(self) -> None:
        self._changes: list[ModelChange] = list(self.history.changes)
        if self._changes:  # a change is recorded for a record that is there
            self.frontier = max(self.frontier, self._changes[-1].from_offset + 1)

    def pieces(self, batch: FetchedBatch, current: str) -> list[Piece]:
        """Cut ``batch`` where the version changes; ``current`` is the version that serves now.

        What lies at or behind the frontier is scored by ``current``. Where nothing was recorded, it is too.
        """
        settled = max(self.frontier, self.silent_until, self._changes[-1].from_offset if self._changes else 0)
        if batch.records[0].offset >= settled:
            return [self._piece(batch, current)]
        limits = sorted({self.frontier, self.silent_until, *(change.from_offset for change in self._changes)})
        return [self._piece(part, current) for part in _cut(batch, limits)]

    def version_at(self, offset: int) -> str | None:
        """Return the version that the ledger names for ``offset``; None where it names none."""
        at = bisect_right(self._changes, offset, key=lambda change: change.from_offset)
        return self._changes[at - 1].version if at else None

    def _piece(self, batch: FetchedBatch, current: str) -> Piece:
        first = batch.records[0].offset
        silent = first < self.silent_until
        version = self.version_at(first)
        if version is not None and (first < self.frontier or silent or version == current):
            return Piece(batch, version, None, silent)
        if silent:
            return Piece(batch, current, None, silent)
        change = ModelChange(first, current)
        at = bisect_right(self._changes, first, key=lambda one: one.from_offset)
        self._changes.insert(at, change)
        return Piece(batch, current, change, silent)


class Keeper(Protocol):
    """Keeps what must be known of partitions and versions beside Redis."""

    async def plan(self, source: SourcePartition, written: int | None, published: int) -> ScoringPlan:
        """Return the plan of a partition whose states have reached ``written``, as of now.

        All before ``published`` is known to have been published and written once.
        """

    async def announce(self, source: SourcePartition, change: ModelChange) -> None:
        """Return once ``change`` is acknowledged for good."""

    async def model(self, version: str) -> ServedModel:
        """Return a version that does not serve any more. Raises `ModelUnavailable`."""


def _cut(batch: FetchedBatch, limits: Sequence[int]) -> list[FetchedBatch]:
    """Cut ``batch`` before the first record at or behind each of ``limits``, ascending."""
    parts: list[FetchedBatch] = []
    records, first = batch.records, 0
    for limit in limits:
        at = first
        while at < len(records) and records[at].offset < limit:
            at += 1
        if first < at < len(records):
            parts.append(replace(batch, records=records[first:at]))
            first = at
    return [*parts, replace(batch, records=records[first:])] if first else [batch]


def mark_partial(cut: HistoryCut | None, batch: DecodedBatch, slots: Mapping[bytes, Slot]) -> None:
    """Mark those users of ``batch`` who have no window yet, and may have had one before it was lost."""
    if cut is None:
        return
    for user, _, event in batch.events:
        slot = slots[user]
        if slot.record is None and event.event_time_ms < cut.until_ms:
            slot.partial = True
