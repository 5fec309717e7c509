"""From an encoder and the wanted sizes to the specification of a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from model_store.errors import TrainingError
from model_store.features.statistics import DAY_MS
from model_store.specification import ACTION_NAMES, NETWORKS, NetworkSpecification
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from model_store.encoder import Encoder

MINUTE_MS: Final = 60_000
HAZARD_BINS: Final = 24
ITEM_LOGIT_SCALE: Final = 14.0
_CATEGORY_DIMENSIONS: Final = 16
_EVENT_TYPE_DIMENSIONS: Final = 8


def specify(
    encoder: Encoder,
    *,
    network: str,
    units: int,
    item_dimensions: int,
    window_size: int,
    churn_horizon_ms: int | None,
    own_items: bool = True,
    direct_inputs: bool = True,
) -> NetworkSpecification:
    """Return the specification of a network over ``encoder``'s inputs.

    Raises `TrainingError` when there is no such network.
    """
    if network not in NETWORKS:
        raise TrainingError(f"there is no network {network!r}; choose one of {', '.join(NETWORKS)}")
    timed = encoder.statistics.timed
    return NetworkSpecification(
        network=network,
        units=units,
        item_dimensions=item_dimensions,
        event_type_dimensions=_EVENT_TYPE_DIMENSIONS,
        category_dimensions=_CATEGORY_DIMENSIONS,
        numeric_features=encoder.numeric_features,
        item_count=len(encoder.items),
        category_count=len(encoder.categories),
        event_type_count=len(EVENT_TYPES),
        window_size=window_size,
        action_names=ACTION_NAMES,
        hazard_edges_ms=hazard_edges_ms() if timed else (),
        churn_horizon_ms=churn_horizon_ms if timed else None,
        item_logit_scale=ITEM_LOGIT_SCALE,
        timed=timed,
        own_items=own_items,
        direct_inputs=direct_inputs,
    )


def hazard_edges_ms() -> tuple[int, ...]:
    """Return the lower edges of the hazard's bins: 0, then even in the logarithm from 1 minute to 30 days."""
    spaced = np.geomspace(MINUTE_MS, 30 * DAY_MS, HAZARD_BINS - 1)
    return (0, *(round(edge) for edge in spaced))
