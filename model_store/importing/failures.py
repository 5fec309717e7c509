"""What is wrong with a model that somebody wants to import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from model_store.errors import ModelRefusedError


class Failure(NamedTuple):
    """A check that failed: its name, what was found, and what to do about it."""

    check: str
    found: str
    cure: str


def refuse(failures: Sequence[Failure]) -> None:
    """Raise `ModelRefusedError` with every one of ``failures``; do nothing where there is none."""
    if failures:
        lines = [f"  {failure.check}: {failure.found}; {failure.cure}" for failure in failures]
        raise ModelRefusedError("\n".join(["the model cannot be served", *lines]))
