"""Sending the demo's events with the replay tool, and telling the screen of each."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from producers.publisher import Publisher

if TYPE_CHECKING:
    from collections.abc import Callable

    from foreclick.demo.live_board import LiveBoard
    from foreclick.demo.stage import Stage
    from producers.events import Event


def do_nothing(_published: int) -> None:
    """Hold nothing up: the default of whoever has nothing to do before an event."""


class DemoPublisher(Publisher):
    """A publisher to a stage's events topic that notes each event on the board."""

    def __init__(
        self, stage: Stage, board: LiveBoard, before_next: Callable[[int], None] = do_nothing
    ) -> None:
        """Connect. ``before_next`` is called before each event with how many went before it."""
        settings = stage.settings
        super().__init__(settings.kafka, settings.events_topic, client_settings=stage.client_settings)
        self._board = board
        self._before_next = before_next

    def publish(self, event: Event, timestamp_ms: int | None = None) -> None:
        """Send an event; see `Publisher.publish`. A paced event counts as sent when it was due."""
        self._before_next(self.published)
        self._board.send(event, time.time() * 1000 if timestamp_ms is None else timestamp_ms)
        super().publish(event, timestamp_ms)
