"""Plain predictors: what a network must beat on the same rows."""

from __future__ import annotations

from model_store.baselines.sequential import (
    Act,
    Baseline,
    Markov,
    NextAction,
    Popular,
    Repeat,
    standard_baselines,
)

__all__ = ["Act", "Baseline", "Markov", "NextAction", "Popular", "Repeat", "standard_baselines"]
