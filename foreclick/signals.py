"""Signals that end a command in order."""

from __future__ import annotations

import signal
from types import FrameType


def end_on_sigterm_as_on_ctrl_c() -> None:
    """Let SIGTERM raise KeyboardInterrupt from now on, so that servers stop and scratch files go."""
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
