"""What a worker's process is told once, at its start."""

from __future__ import annotations

import gc
import logging


def log_to_stderr(level: str) -> None:
    """Show the worker's own messages from ``level`` on, and other libraries' from warnings on."""
    quiet = logging.DEBUG if level == "DEBUG" else logging.WARNING
    logging.basicConfig(level=quiet, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("streamer").setLevel(level)


def keep_out_of_collections() -> None:
    """Spare Python's garbage collector the libraries and the model, which live as long as the worker."""
    gc.collect()
    gc.freeze()
