"""What the screen shows while the stream runs: the last predictions, their latency, how many came true."""

from __future__ import annotations

import statistics
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from foreclick.checking.predictions import SeenPrediction
    from producers.events import Event

NO_FURTHER_ACTION: Final = "none"
_SESSION_GAP_MS: Final = 30 * 60_000
_RECENT_LATENCIES: Final = 500
_RECENT_PREDICTIONS: Final = 8


class _Last(NamedTuple):
    event: Event
    foreseen: str


@dataclass
class LiveBoard:
    """Takes events as they are sent and predictions as they come, in two threads.

    Each prediction is held against its user's next event, beside "the same action again". This is for the
    eye: the numbers that a run reports are worked out from the topics afterwards.
    """

    published: int = 0
    scored: int = 0
    model_right: int = 0
    repeat_right: int = 0
    recent: deque[SeenPrediction] = field(default_factory=lambda: deque(maxlen=_RECENT_PREDICTIONS))
    _latencies_ms: deque[float] = field(default_factory=lambda: deque(maxlen=_RECENT_LATENCIES))
    _sent: dict[tuple[str, str], tuple[Event, float]] = field(default_factory=dict)
    _last: dict[str, _Last] = field(default_factory=dict)

    def send(self, event: Event, at_ms: float) -> None:
        """Note an event that is sent at the wall time ``at_ms``, in Unix milliseconds."""
        self.published += 1
        self._sent[event.user_id, event.event_id] = (event, at_ms)

    def see(self, prediction: SeenPrediction, at_ms: float) -> None:
        """Note a prediction that arrived at the wall time ``at_ms``, in Unix milliseconds."""
        self.recent.append(prediction)
        event, sent_ms = self._sent.pop((prediction.user_id, prediction.event_id), (None, 0.0))
        if event is None:  # seen before, or sent by somebody else
            return
        self._latencies_ms.append(at_ms - sent_ms)
        if prediction.next_action:
            self._score(event)
            foreseen = max(prediction.next_action.items(), key=lambda pair: pair[1])[0]
            self._last[event.user_id] = _Last(event, foreseen)

    def latency_ms(self) -> float | None:
        """Return the median latency of the last predictions; None before the first."""
        return statistics.median(self._latencies_ms) if self._latencies_ms else None

    def accuracy(self) -> tuple[float, float] | None:
        """Return how many next actions were right, the model's and of "the same again"; None before one."""
        return (self.model_right / self.scored, self.repeat_right / self.scored) if self.scored else None

    def _score(self, event: Event) -> None:
        last = self._last.get(event.user_id)
        if last is None or event.event_time_ms < last.event.event_time_ms:
            return
        action = event.event_type.value if same_session(last.event, event) else NO_FURTHER_ACTION
        self.scored += 1
        self.model_right += last.foreseen == action
        self.repeat_right += last.event.event_type.value == action


def same_session(earlier: Event, later: Event) -> bool:
    """Tell whether two events of a user stand in one session: by its name, else by a gap of 30 minutes."""
    if earlier.session_id is not None and later.session_id is not None:
        return earlier.session_id == later.session_id
    return later.event_time_ms - earlier.event_time_ms <= _SESSION_GAP_MS
