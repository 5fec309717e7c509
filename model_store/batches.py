"""From a part of a log to padded batches of windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.lookback import lookback_at
from model_store.losses import hazard_labels
from model_store.own_batch import OwnBatch, own_batch
from model_store.own_items import OWN_EVENTS
from model_store.sequences import MASKED, Ints, Mask, Windows, known_until_ms, labels_at, windows_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from model_store.encoder import Encoder, Inputs
    from model_store.parts import Part
    from model_store.sequences import EventTable
    from model_store.specification import NetworkSpecification

_CHUNK_BATCHES = 16


class Batch(NamedTuple):
    """Windows padded on the right to the longest of them, and the labels of their scored events.

    The indices are int32 [B, T], ``numeric`` is float32 [B, T, F]. ``scored`` int32 [P]
    are the places of the scored events in the flattened [B * T], ``next_action`` int32 [P] their labels
    (negative: masked), ``gap_bin``, ``survived`` and ``returned`` [P] those of the hazard. ``with_item``
    int32 [Q] are the places of the scored events whose next item the vocabulary or their own window holds,
    ``next_item`` [Q] those items, 0 if the vocabulary lacks it, and ``own`` [Q, M] the windows' own items.
    """

    item: npt.NDArray[np.int32]
    event_type: npt.NDArray[np.int32]
    category: npt.NDArray[np.int32]
    numeric: npt.NDArray[np.float32]
    scored: npt.NDArray[np.int32]
    next_action: npt.NDArray[np.int32]
    gap_bin: npt.NDArray[np.int32]
    survived: npt.NDArray[np.float32]
    returned: npt.NDArray[np.float32]
    with_item: npt.NDArray[np.int32]
    next_item: npt.NDArray[np.int32]
    own: OwnBatch


class BatchPart(NamedTuple):
    """Some of a batch's windows: ``asked`` are their places in ``with_item``.

    ``shares`` float32 [4] are the shares of the whole batch's events that the losses of the catalogue, of the
    own items, of the action and of the hazard are taken at.
    """

    batch: Batch
    asked: slice
    shares: npt.NDArray[np.float32]


def part_of(batch: Batch, number: int, parts: int) -> BatchPart:
    """Return part ``number`` (from 0) of ``parts`` of the windows of ``batch``."""
    windows, steps = batch.item.shape
    start, end = windows * number // parts, windows * (number + 1) // parts
    some = slice(start, end)
    scored, asked = (
        slice(*np.searchsorted(places, [start * steps, end * steps]))
        for places in (batch.scored, batch.with_item)
    )
    part = Batch(
        item=batch.item[some],
        event_type=batch.event_type[some],
        category=batch.category[some],
        numeric=batch.numeric[some],
        scored=batch.scored[scored] - np.int32(start * steps),
        next_action=batch.next_action[scored],
        gap_bin=batch.gap_bin[scored],
        survived=batch.survived[scored],
        returned=batch.returned[scored],
        with_item=batch.with_item[asked] - np.int32(start * steps),
        next_item=batch.next_item[asked],
        own=batch.own.take(asked),
    )
    shares = _weights(part) / np.maximum(_weights(batch), 1)
    return BatchPart(part, asked, shares.astype(np.float32))


def _weights(batch: Batch) -> npt.NDArray[np.float32]:
    """Return how many events each loss is a mean over."""
    known_items, known_actions = np.count_nonzero(batch.next_item), np.count_nonzero(batch.next_action >= 0)
    return np.array([known_items, len(batch.next_item), known_actions, len(batch.scored)], np.float32)


@dataclass(frozen=True)
class Samples:
    """A part of a log, and its windows that hold a scored event.

    Events are encoded and labelled batch by batch, so that only the windows' places grow with the log: and
    one event that stands in two windows has another past in each. ``end_ms`` is where the known time ends.
    """

    table: EventTable
    encoder: Encoder
    windows: Windows
    scored: Mask
    until_ms: int | None
    end_ms: int
    hazard_edges_ms: Sequence[int]

    @classmethod
    def of(cls, part: Part, encoder: Encoder, specification: NetworkSpecification) -> Samples:
        """Cut ``part`` into windows; ``encoder`` is to encode it."""
        return cls(
            table=part.table,
            encoder=encoder,
            windows=_with_scored(windows_of(part.table, specification.window_size), part.scored),
            scored=part.scored,
            until_ms=part.until_ms,
            end_ms=known_until_ms(part.table, part.until_ms),
            hazard_edges_ms=specification.hazard_edges_ms or (0, 1),
        )

    @property
    def scored_events(self) -> int:
        """How many events the loss is taken at."""
        return int(np.count_nonzero(self.scored))

    def shuffled(self, batch_events: int, generator: np.random.Generator) -> list[Ints]:
        """Return the windows' numbers once, in random groups of about ``batch_events`` events.

        Windows of like length share a group, so that little is padded.
        """
        order = generator.permutation(len(self.windows.start))
        groups: list[Ints] = []
        for chunk in _split(order, self.windows.length, _CHUNK_BATCHES * batch_events):
            by_length = chunk[np.argsort(self.windows.length[chunk], kind="stable")]
            groups += _split(by_length, self.windows.length, batch_events)
        return [groups[place] for place in generator.permutation(len(groups))]

    def in_order(self, batch_events: int) -> Iterator[Batch]:
        """Yield the windows once, from the shortest to the longest, in batches of about ``batch_events``."""
        order = np.argsort(self.windows.length, kind="stable")
        for group in _split(order, self.windows.length, batch_events):
            yield self.batch(group)

    def sampled(self, most_events: int) -> Samples:
        """Return these samples with only about ``most_events`` events in their windows, always the same."""
        order = np.random.default_rng(0).permutation(len(self.windows.start))
        chosen = np.sort(order[np.cumsum(self.windows.length[order]) <= most_events])
        if len(chosen) in (0, len(order)):
            return self
        return replace(self, windows=Windows(*(column[chosen] for column in self.windows)))

    def batch(self, chosen: Ints) -> Batch:
        """Return the batch of the windows numbered ``chosen`` [B]."""
        start, length = self.windows.start[chosen, None], self.windows.length[chosen, None]
        steps = np.arange(int(length.max()))  # [T]
        real = steps < length  # [B, T]
        event = np.where(real, start + steps, 0)
        inputs = self._encoded(event, np.where(real, steps, 0))
        scored = real & (steps >= self.windows.new_from[chosen, None]) & self.scored[event]
        places = np.flatnonzero(scored)
        chosen_events = event.reshape(-1)[places]
        labels = labels_at(self.table, chosen_events, self.until_ms, self.end_ms)
        hazard = hazard_labels(labels.gap_ms, labels.returned, self.hazard_edges_ms)
        followed = labels.next_event != MASKED
        items, own = self._next_items(
            chosen_events[followed],
            (event - start).reshape(-1)[places][followed],
            labels.next_event[followed],
        )
        asked = (items > 0) | own.is_next.any(axis=1)
        return Batch(
            item=inputs.item * real,
            event_type=inputs.event_type * real,
            category=inputs.category * real,
            numeric=inputs.numeric * real[..., None],
            scored=places.astype(np.int32),
            next_action=labels.next_action.astype(np.int32),
            gap_bin=hazard.bin,
            survived=hazard.survived,
            returned=labels.returned.astype(np.float32),
            with_item=places[followed][asked].astype(np.int32),
            next_item=items[asked],
            own=own.take(asked),
        )

    def _encoded(self, event: Ints, place: Ints) -> Inputs:
        """Return the inputs [B, T] of the events at ``event`` [B, T], each at its ``place`` in its window."""
        index = event.reshape(-1)
        past = lookback_at(self.table.rows, index, place.reshape(-1), self.encoder.lookback_events)
        inputs = self.encoder.encode(self.table.rows.take(index), past)
        return inputs.take(np.arange(len(index)).reshape(event.shape))

    def _next_items(
        self, event: Ints, place: Ints, following: Ints
    ) -> tuple[npt.NDArray[np.int32], OwnBatch]:
        """Return the item indices of the events ``following`` [P], 0 if unknown, and the own items before."""
        next_rows = self.table.rows.take(following)
        past = lookback_at(self.table.rows, event, place, OWN_EVENTS - 1)
        return self.encoder.item_indices(next_rows), own_batch(self.encoder, past, next_rows)


def _with_scored(windows: Windows, scored: Mask) -> Windows:
    """Return the windows that have a new event among ``scored``."""
    if scored.all():
        return windows
    before = np.concatenate([[0], np.cumsum(scored)])
    ends = windows.start + windows.length
    kept = before[ends] > before[windows.start + windows.new_from]
    return Windows(*(column[kept] for column in windows))


def _split(order: Ints, length: Ints, events: int) -> list[Ints]:
    """Return ``order`` cut into runs of windows that hold about ``events`` events each."""
    if not len(order):
        return []
    group = (np.cumsum(length[order]) - 1) // events
    return np.split(order, np.flatnonzero(np.diff(group)) + 1)
