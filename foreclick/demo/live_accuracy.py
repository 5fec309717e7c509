"""How often the last prediction named the next action, beside "the same again", while the stream runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from foreclick.checking.predictions import SeenPrediction
    from producers.events import Event

_SESSION_GAP_MS: Final = 30 * 60_000
NO_FURTHER_ACTION: Final = "none"


class _Last(NamedTuple):
    event: Event
    foreseen: str


class LiveAccuracy:
    """Takes predictions as they come, and holds each against its user's next event.

    A view for the eye: an event seen before its predecessor's prediction is not scored. The
    numbers that a run reports come from `model_store.evaluation`.
    """

    def __init__(self) -> None:
        self.scored = 0
        self.model_right = 0
        self.repeat_right = 0
        self._events: dict[tuple[str, str], Event] = {}
        self._last: dict[str, _Last] = {}

    def publish(self, event: Event) -> Event:
        """Remember an event that is being published, and return it."""
        self._events[event.user_id, event.event_id] = event
        return event

    def see(self, prediction: SeenPrediction) -> None:
        """Hold the user's last prediction against the event of this one."""
        event = self._events.pop((prediction.user_id, prediction.event_id), None)
        if event is None or prediction.next_action is None:
            return
        last = self._last.get(event.user_id)
        if last is not None and event.event_time_ms >= last.event.event_time_ms:
            action = event.event_type.value if same_session(last.event, event) else NO_FURTHER_ACTION
            self.scored += 1
            self.model_right += last.foreseen == action
            self.repeat_right += last.event.event_type.value == action
        foreseen = max(prediction.next_action, key=lambda name: (prediction.next_action or {})[name])
        self._last[event.user_id] = _Last(event, foreseen)

    def shares(self) -> tuple[float, float] | None:
        """Return the shares of right next actions: the model's and those of "the same again"."""
        return (self.model_right / self.scored, self.repeat_right / self.scored) if self.scored else None


def same_session(earlier: Event, later: Event) -> bool:
    """Tell whether two events of a user stand in one session: by its name, else by a gap of 30 minutes."""
    if earlier.session_id is not None and later.session_id is not None:
        return earlier.session_id == later.session_id
    return later.event_time_ms - earlier.event_time_ms <= _SESSION_GAP_MS
