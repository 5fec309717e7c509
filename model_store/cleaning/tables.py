"""Cleaning an event table, and what each rule touched in it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from model_store.cleaning.learning import fit_cleaning
from model_store.cleaning.sifting import KEPT, Sieve, sift_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_store.cleaning.pipeline import Cleaning
    from model_store.cleaning.rules import Rule
    from model_store.sequences import EventTable


def clean_table(
    table: EventTable, training: EventTable, rules: Sequence[Rule], window_size: int
) -> tuple[EventTable, Cleaning]:
    """Return ``table`` as a network is to learn it, and the pipeline, fitted on ``training`` alone.

    What the rules drop is gone, and what they repair is repaired: as a worker's encoder will read it. Raises
    `CleaningError` where the rules cannot be applied.
    """
    cleaning = fit_cleaning(rules, training.rows, training.user, window_size)
    sifted = sift_rows(Sieve(cleaning, window_size), table.rows, table.user)
    kept = table.where(sifted.outcome == KEPT)
    return replace(kept, rows=cleaning.repaired(kept.rows)), cleaning
