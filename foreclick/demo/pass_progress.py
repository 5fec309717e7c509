"""How far a pass is, for the screen."""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final

from foreclick.demo.view import Moment, View

if TYPE_CHECKING:
    from foreclick.demo.live_board import LiveBoard
    from foreclick.demo.observer import Observer

_RATE_OVER_S: Final = 2.0


class PassProgress:
    """Shows how many of the ``total`` events from now on have ended, and the rate of the last seconds."""

    def __init__(self, view: View, title: str, board: LiveBoard, observer: Observer, total: int) -> None:
        self._view = view
        self._title = title
        self._board = board
        self._observer = observer
        self._total = total
        self._before = len(observer)
        self._marks = deque([(time.monotonic(), 0)])

    def show(self) -> None:
        """Show it now."""
        now_s, ended = time.monotonic(), len(self._observer) - self._before
        self._marks.append((now_s, ended))
        while len(self._marks) > 2 and now_s - self._marks[0][0] > _RATE_OVER_S:
            self._marks.popleft()
        since_s, before = self._marks[0]
        rate = (ended - before) / max(1e-9, now_s - since_s)
        self._view.show(Moment(self._title, ended, self._total, rate, self._board))
