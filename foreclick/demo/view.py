"""Showing the demo: plain lines anywhere, or a live screen on a terminal."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, Self, TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from foreclick.demo.words import in_words

if TYPE_CHECKING:
    from foreclick.demo.live_board import LiveBoard

_LINE_INTERVAL_S: Final = 2.0
_SCREEN_INTERVAL_S: Final = 0.2


@dataclass(frozen=True)
class Moment:
    """Where a pass stands: ``ended`` of ``total`` events are seen to have a prediction or a dead letter."""

    title: str
    ended: int
    total: int
    events_per_s: float
    board: LiveBoard


class View(Protocol):
    """Where the demo shows what it does. Use it as a context manager."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def say(self, text: str) -> None:
        """Show one line that stays."""

    def show(self, moment: Moment) -> None:
        """Show where a pass stands; may be called as often as one likes."""


class PlainView:
    """One line for each thing said, and one every two seconds while a pass runs."""

    def __init__(self, stream: TextIO = sys.stdout) -> None:
        self._stream = stream
        self._last_s = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.flush()

    def say(self, text: str) -> None:
        """Print one line."""
        print(text, file=self._stream, flush=True)

    def show(self, moment: Moment) -> None:
        """Print where the pass stands, if the last such line is two seconds old."""
        now_s = time.monotonic()
        if now_s - self._last_s >= _LINE_INTERVAL_S:
            self._last_s = now_s
            self.say(f"  {_standing(moment)}")


class LiveView:
    """A screen that is drawn anew five times a second."""

    def __init__(self, console: Console) -> None:
        self._said: list[str] = []
        self._last_s = 0.0
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def say(self, text: str) -> None:
        """Print one line above the screen."""
        self._live.console.print(text, highlight=False)
        self._live.refresh()

    def show(self, moment: Moment) -> None:
        """Draw the screen, if the last one is old enough."""
        now_s = time.monotonic()
        if now_s - self._last_s >= _SCREEN_INTERVAL_S:
            self._last_s = now_s
            self._live.update(_screen(moment), refresh=True)


def _standing(moment: Moment) -> str:
    parts = [f"{moment.ended:,} of {moment.total:,} events ended", f"{moment.events_per_s:,.0f} events/s"]
    accuracy = moment.board.accuracy()
    if accuracy is not None:
        parts.append(f"next action right {accuracy[0]:.1%}, by repeating the last {accuracy[1]:.1%}")
    return ", ".join(parts)


def _screen(moment: Moment) -> Group:
    progress = Progress(TextColumn("{task.description}"), BarColumn(None), MofNCompleteColumn())
    progress.add_task(moment.title, total=moment.total, completed=moment.ended)
    latency_ms, accuracy = moment.board.latency_ms(), moment.board.accuracy()
    numbers = Table.grid(expand=True)
    numbers.add_row(
        f"[bold]{moment.events_per_s:,.0f}[/] events/s",
        "latency " + ("-" if latency_ms is None else f"[bold]{latency_ms:,.0f}[/] ms"),
        "next action right " + ("-" if accuracy is None else f"[bold]{accuracy[0]:.1%}[/]"),
        "by repeating the last " + ("-" if accuracy is None else f"[bold]{accuracy[1]:.1%}[/]"),
    )
    lines = [
        Text(in_words(prediction), overflow="ellipsis", no_wrap=True)
        for prediction in list(moment.board.recent)
    ]
    return Group(progress, numbers, Panel(Group(*lines), title="the last predictions"))
