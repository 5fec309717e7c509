"""Long work in another thread, beside the event loop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import Final, TypeVar

Result = TypeVar("Result")

_USUAL_SWITCH_S: Final = sys.getswitchinterval()
# A thread that computes keeps the interpreter's lock this long from the event loop, which asks for it often.
_SWITCH_S: Final = 0.0005


async def aside(work: Callable[[], Result]) -> Result:
    """Return what ``work`` does, which another thread calls; the event loop waits little for it meanwhile."""
    sys.setswitchinterval(_SWITCH_S)
    try:
        return await asyncio.to_thread(work)
    finally:
        sys.setswitchinterval(_USUAL_SWITCH_S)
