"""Pauses in long work of a thread that shares the interpreter's lock with something urgent."""

from __future__ import annotations

from collections.abc import Callable

Pause = Callable[[], None]


def no_pause() -> None:
    """Go on at once."""
