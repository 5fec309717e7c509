"""Step 4: put each event into its user's window, or find out why it has no place there.

Windows change here; hidden states follow in `streamer.scoring`, for all events of a group at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.kernels.window_rule import LATE, REPEATED
from model_store.serving import ServedModel
from model_store.windows import row_items
from producers.events import Event
from streamer.memory import Slot
from streamer.records import DeadLetter, DecodedBatch, SourceRecord
from streamer.state import NO_NAMES, KeptStates, Names, names_in_window, read_states
from streamer.window_arena import Entry, Gate, Windows

Group = Sequence[tuple[DecodedBatch, Mapping[bytes, Slot]]]
Ints = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass
class Steps:
    """The accepted events of a group of batches; an index into these lists and arrays is a step.

    ``users`` are the places of their users in ``kept``, which has the states that these came with, and in
    ``partial``, which tells whose history is not whole. ``windows`` are those behind the events. ``rebuilds``
    tells where the state must be run from zero over that window. ``priors`` is the step before of the same
    user, -1 for none, and ``rounds`` counts the steps since the user's last one without such a prior, or with
    a rebuild. ``grown`` tells whether the window only has rows more than the user's record. ``names`` are the
    ids of the window's items that the model's vocabulary lacks, where there are any.
    """

    kept: KeptStates
    partial: Flags
    keys: list[bytes]
    records: list[SourceRecord]
    events: list[Event]
    users: Ints
    windows: Windows
    rebuilds: Flags
    priors: Ints
    rounds: Ints
    grown: Flags
    names: dict[int, Names]

    def __len__(self) -> int:
        return len(self.events)


class BatchPlan(NamedTuple):
    """Which steps one batch took, and by user the step of its last event."""

    first_step: int
    end_step: int
    ends: dict[bytes, int]


def take_steps(
    model: ServedModel, group: Group, allowed_lateness_ms: int, gate: Gate | None
) -> tuple[Steps, list[BatchPlan]]:
    """Put the events of ``group`` into their users' windows, in order; return the steps that must be scored.

    A repeated ``event_id`` is counted in its batch's ``duplicate_events``; an event that comes later than
    allowed, measured against its user's newest event, is added to the batch's ``dead_letters``, as is one
    that the gate refuses. None of them changes a window. Raises `StateUnreadable`.
    """
    keyed = [one for batch, _ in group for one in batch.events]
    places: dict[Slot, int] = {}
    user = np.array(
        [places.setdefault(slots[key], len(places)) for batch, slots in group for key, _, _ in batch.events],
        np.int64,
    )
    kept = read_states([slot.record for slot in places])
    partial = kept.heads.partial | np.array([slot.partial for slot in places], np.bool_)
    entry = Entry(model, kept, [event for _, _, event in keyed], user, allowed_lateness_ms, gate)
    letters = entry.run([record for _, record, _ in keyed])
    made, count = entry.made, entry.count
    taken = made.events[:count].tolist()
    windows = Windows(entry.octets, made.starts[:count], made.counts[:count])
    users = user[made.events[:count]]
    items = row_items(entry.rows[made.events[:count]])
    steps = Steps(
        kept,
        partial,
        [keyed[event][0] for event in taken],
        [keyed[event][1] for event in taken],
        [keyed[event][2] for event in taken],
        users,
        windows,
        made.rebuilds[:count],
        made.priors[:count],
        made.rounds[:count],
        made.grown[:count],
        {},
    )
    steps.names = _names(model, steps, items, made.thinned[:count])
    late = f"over {allowed_lateness_ms} ms behind the user's newest event"
    return steps, _plans(group, steps, entry.outcomes, letters, made.events[:count], late)


def _plans(
    group: Group,
    steps: Steps,
    outcomes: npt.NDArray[np.int8],
    letters: Mapping[int, DeadLetter],
    taken: Ints,
    late: str,
) -> list[BatchPlan]:
    """Return each batch's steps, and tell it what became of its other events."""
    first_events = [0, *accumulate(len(batch.events) for batch, _ in group)]
    if outcomes.any():
        for (batch, _), (first, end) in zip(group, pairwise(first_events), strict=True):
            for event in (np.flatnonzero(outcomes[first:end]) + first).tolist():
                if outcomes[event] == REPEATED:
                    batch.duplicate_events += 1
                elif outcomes[event] == LATE:
                    batch.dead_letters.append(DeadLetter(batch.events[event - first][1], "too_late", late))
                else:
                    batch.dead_letters.append(letters[event])
    plans = []
    for first_step, end_step in pairwise(np.searchsorted(taken, first_events).tolist()):
        ends = dict(zip(steps.keys[first_step:end_step], range(first_step, end_step), strict=True))
        plans.append(BatchPlan(first_step, end_step, ends))
    return plans


def _names(
    model: ServedModel, steps: Steps, items: npt.NDArray[np.uint64], thinned: Flags
) -> dict[int, Names]:
    """Return the names behind each step, where there are any, its own item's among them if it is unknown.

    They are thinned out where rows of the window are gone, or the model is another one.
    """
    known = model.known_items
    unknown = np.zeros(len(steps), np.bool_)
    if known is not None:
        unknown = (model.encoder.indices_of_items(items) == 0) & (items != 0)
    of_user, found = dict(steps.kept.names), dict[int, Names]()
    if not of_user and not unknown.any():
        return found
    concerned = np.array([*of_user, *steps.users[unknown].tolist()], np.int64)
    for step in np.flatnonzero(np.isin(steps.users, concerned)).tolist():
        user = int(steps.users[step])
        names = of_user.get(user, NO_NAMES)
        if known is not None and names and thinned[step]:
            standing = names_in_window(names, steps.windows.packed(step))
            names = {item: name for item, name in standing.items() if name not in known}
        if unknown[step]:
            names = {**names, int(items[step]): str(steps.events[step].item_id)}
        of_user[user] = names
        if names:
            found[step] = names
    return found
