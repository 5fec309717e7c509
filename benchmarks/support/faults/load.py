"""How much a stream brings: so many events a second, or always more than the workers have taken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

_LOOK_S: Final = 0.1


@dataclass(frozen=True)
class Load:
    """``rate`` events a second; or, with a ``backlog``, so many events that always wait: full load."""

    rate: float
    backlog: int = 0

    @property
    def kept_up_with(self) -> int:
        """The most events that wait while the workers keep up."""
        return 2 * self.backlog or int(self.rate)


class Due:
    """How many events should have been sent ``seconds`` after the first.

    ``predictions`` counts the predictions so far; it is asked ten times a second, and only for a backlog.
    """

    def __init__(self, load: Load, predictions: Callable[[], int]) -> None:
        self._load = load
        self._predictions = predictions
        self._looked_s = -_LOOK_S
        self._events = 0

    def __call__(self, seconds: float) -> int:
        """Return that number."""
        if not self._load.backlog:
            return int(seconds * self._load.rate)
        if seconds - self._looked_s >= _LOOK_S:
            self._looked_s = seconds
            self._events = self._predictions() + self._load.backlog
        return self._events
