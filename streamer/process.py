"""What a worker's process is told once, at its start."""

from __future__ import annotations

import gc
import logging
import sys
from typing import Final

# For how long a thread keeps the interpreter while another wants it: Python's own 5 ms is a whole step.
TURN_S: Final = 0.0005
# A group of events makes tens of thousands of objects, which all go with it, and hardly a cycle among them.
NEW_OBJECTS_PER_COLLECTION: Final = 50_000
COLLECTIONS_PER_OLDER_ONE: Final = 20


def log_to_stderr(level: str) -> None:
    """Show the worker's own messages from ``level`` on, and other libraries' from warnings on."""
    quiet = logging.DEBUG if level == "DEBUG" else logging.WARNING
    logging.basicConfig(level=quiet, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("streamer").setLevel(level)


def collect_rarely() -> None:
    """Let Python's garbage collector look seldom, and not at what lives as long as the worker."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(NEW_OBJECTS_PER_COLLECTION, COLLECTIONS_PER_OLDER_ONE, COLLECTIONS_PER_OLDER_ONE)


def let_threads_take_turns() -> None:
    """Give a thread that comes back from compiled code the interpreter within half a millisecond.

    Scoring leaves the interpreter for each kernel and asks for it again behind it, dozens of times a group.
    """
    sys.setswitchinterval(TURN_S)
