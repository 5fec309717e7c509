"""Step 4: put each event into its user's window, or find out why it has no place there.

Windows change here; hidden states follow in `streamer.scoring`, for all events of a group at once.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from model_store.windows import (
    ROW_BYTES,
    contains_event,
    inserted,
    item_fingerprint,
    pack_row,
    row_time_ms,
)
from producers.events import Event
from streamer.memory import Slot
from streamer.records import DeadLetter, DecodedBatch, SourceRecord
from streamer.state import Names, UserState, names_in_window


@dataclass
class Steps:
    """The accepted events of a group of batches, as parallel lists; an index into them is a step.

    ``windows`` are the packed windows of the users behind the event. ``rebuilds`` tells where the state
    must be run from zero over that window. ``priors`` is the step before of the same user, -1 for none.
    ``names`` are the ids of the window's items that the model's vocabulary lacks.
    """

    records: list[SourceRecord] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    states: list[UserState] = field(default_factory=list)
    windows: list[bytes] = field(default_factory=list)
    rebuilds: list[bool] = field(default_factory=list)
    priors: list[int] = field(default_factory=list)
    rounds: list[int] = field(default_factory=list)
    names: list[Names] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.events)


@dataclass
class BatchPlan:
    """What one batch did to its users' windows: by user, the rows and the step behind its last event."""

    first_step: int
    end_step: int = 0
    windows: dict[bytes, tuple[bytes, int]] = field(default_factory=dict)


class Gate(Protocol):
    """Who may enter a window: the model's cleaning."""

    @property
    def reach_ms(self) -> float:
        """An event that is further behind its user's newest one is not asked about: it may enter."""

    def refusal(self, record: SourceRecord, rows: bytes, position: int, step: int) -> DeadLetter | None:
        """Return why the event of ``record`` may not stay at ``position`` of the window ``rows``, or None.

        ``step`` is the one that it takes otherwise.
        """


class WindowPlanner:
    """Applies the window rule to batches, in order, and collects the steps that scoring must take.

    What ``gate`` refuses is a dead letter, and changes no window. Ids of items outside ``known_items`` are
    kept beside the window, unless that is None. A kept state of other than ``state_bytes`` is run anew.
    """

    def __init__(
        self,
        window_size: int,
        allowed_lateness_ms: int,
        model: int,
        gate: Gate | None = None,
        known_items: Container[str] | None = None,
        state_bytes: int = 0,
    ) -> None:
        self._window_size = window_size
        self._allowed_lateness_ms = allowed_lateness_ms
        self._model = model
        self._gate = gate
        self._known_items = known_items
        self._state_bytes = state_bytes
        self._last_step: dict[UserState, int] = {}
        self.steps = Steps()

    def apply(self, batch: DecodedBatch, slots: Mapping[bytes, Slot]) -> BatchPlan:
        """Put the events of ``batch`` into their users' windows.

        A repeated ``event_id`` is counted in ``batch.duplicate_events``; an event that comes later than
        allowed, measured against its user's newest event, is added to ``batch.dead_letters``, as is one that
        the gate refuses.
        """
        plan = BatchPlan(len(self.steps))
        gate, window_size, lateness_ms = self._gate, self._window_size, self._allowed_lateness_ms
        reach_ms = gate.reach_ms if gate is not None else -math.inf
        for user, record, event in batch.events:
            state = slots[user].state
            row = pack_row(event)
            since_ms = _since_newest_ms(state, event)
            if contains_event(state.rows, row):
                batch.duplicate_events += 1
            elif since_ms < -lateness_ms:
                detail = f"over {lateness_ms} ms behind the user's newest event"
                batch.dead_letters.append(DeadLetter(record, "too_late", detail))
            else:
                rows, position, overflowed = inserted(state.rows, row, window_size)
                if gate is not None and since_ms <= reach_ms:
                    letter = gate.refusal(record, rows, position, len(self.steps))
                    if letter is not None:
                        batch.dead_letters.append(letter)
                        continue
                goes_on = since_ms >= 0 and not overflowed
                step = self._accept(record, event, state, rows, goes_on=goes_on, overflowed=overflowed)
                plan.windows[user] = (rows, step)
        plan.end_step = len(self.steps)
        return plan

    def _accept(
        self,
        record: SourceRecord,
        event: Event,
        state: UserState,
        rows: bytes,
        *,
        goes_on: bool,
        overflowed: bool,
    ) -> int:
        """Take a step with the event, which ``goes_on`` where the window was not cut and it is the newest."""
        steps, model = self.steps, self._model
        step = len(steps.events)
        prior = self._last_step.get(state, -1)
        kept = prior >= 0 or len(state.hidden) == self._state_bytes
        current = (state.model == model and kept) or not state.rows
        if self._known_items is not None:
            state.names = self._names(state.names, event.item_id, rows, thin=overflowed or not current)
        self._last_step[state] = step
        state.rows, state.model = rows, model
        rebuild = not (goes_on and current)
        steps.records.append(record)
        steps.events.append(event)
        steps.states.append(state)
        steps.windows.append(rows)
        steps.rebuilds.append(rebuild)
        steps.priors.append(prior)
        steps.rounds.append(0 if rebuild or prior < 0 else steps.rounds[prior] + 1)
        steps.names.append(state.names)
        return step

    def _names(self, names: Names, item_id: str | None, rows: bytes, *, thin: bool) -> Names:
        """Return ``names`` with the id of one more event; ``thin`` out those that are not needed any more."""
        known = self._known_items or ()
        if thin and names:
            standing = names_in_window(names, rows)
            names = {item: name for item, name in standing.items() if name not in known}
        if item_id is None or item_id in known:
            return names
        return {**names, item_fingerprint(item_id): item_id}


def _since_newest_ms(state: UserState, event: Event) -> float:
    """Return the time from the user's newest event to ``event``: below 0 if late, infinite for a first."""
    if not state.rows:
        return math.inf
    return event.event_time_ms - row_time_ms(state.rows, len(state.rows) // ROW_BYTES - 1)
