"""Showing how far a long piece of work is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

_BETWEEN_LINES_S: Final = 5.0

Update = Callable[[float, str], None]


@contextmanager
def shown_progress(
    title: str,
    total: float,
    console: Console | None = None,
    now_s: Callable[[], float] = time.monotonic,
) -> Iterator[Update]:
    """Give a function that is told how much of ``total`` is done, and a few words beside it.

    It writes to standard error unless ``console`` says otherwise: a bar with the time left, or, where that is
    no terminal, at most one line in five seconds.
    """
    console = console or Console(stderr=True)
    if console.is_terminal:
        with _bar(title, total, console) as update:
            yield update
    else:
        yield _lines(title, total, console, now_s)


@contextmanager
def _bar(title: str, total: float, console: Console) -> Iterator[Update]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(title, total=max(total, 1.0), note="")
        yield lambda done, note: bar.update(task, completed=done, note=note)


def _lines(title: str, total: float, console: Console, now_s: Callable[[], float]) -> Update:
    started_s = last_s = now_s()

    def update(done: float, note: str) -> None:
        nonlocal last_s
        now = now_s()
        if now - last_s < _BETWEEN_LINES_S or not done:
            return
        last_s = now
        left_s = (now - started_s) * max(0.0, total / done - 1.0)
        text = f"{title}: {min(1.0, done / max(total, 1.0)):.0%}  {note}  about {left_s:,.0f} s left"
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    return update
