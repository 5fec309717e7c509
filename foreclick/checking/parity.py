"""How far the predictions of a run are from the saved Keras model itself, called on whole windows.

The windows are those of `window_rule`, padded on the right; nothing of the incremental path is used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from foreclick.checking.churn_correction import HazardCorrector
from foreclick.checking.keras_model import SavedModel
from foreclick.checking.own_items import own_logit, own_rank
from foreclick.checking.topics import SourcePosition
from model_store.windows import pack_row

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from foreclick.checking.predictions import SeenPrediction
    from foreclick.checking.window_rule import Ruling
    from producers.events import Event

_BATCH: Final = 512
_LARGEST_HAZARD: Final = 1.0 - 2.0**-24  # a float32 sigmoid may round to 1


@dataclass(frozen=True)
class Parity:
    """The largest differences over ``compared`` predictions: of probabilities, churn and item scores.

    A difference is NaN where a prediction lacks a head that the model has, or the other way round.
    """

    compared: int
    next_action: float
    churn: float
    next_items: float

    @property
    def max_abs_diff(self) -> float:
        """The largest of the three; NaN if one is."""
        worst = (self.next_action, self.churn, self.next_items)
        return math.nan if any(math.isnan(one) for one in worst) else max(worst)


def parity(rulings: Iterable[Ruling], predictions: Iterable[SeenPrediction], artifact: Path) -> Parity:
    """Compare every prediction, repeated ones too, with the model saved in the directory ``artifact``.

    A prediction of a record that must not be scored is left to the accounts. Raises ModelStoreError
    where the artifact is not whole.
    """
    model, corrector = SavedModel(artifact), HazardCorrector(artifact)
    windows = {ruling.position: ruling.window for ruling in rulings if ruling.outcome == "scored"}
    pairs = [
        (windows[position], prediction)
        for prediction in predictions
        if (position := SourcePosition.parse(prediction.prediction_id)) in windows
    ]
    packed: dict[int, bytes] = {}
    worst = np.zeros(3)
    for start in range(0, len(pairs), _BATCH):
        batch = pairs[start : start + _BATCH]
        rows = [_packed_window(window, packed) for window, _ in batch]
        differences = _differences(model, corrector, rows, batch)
        worst = np.maximum(worst, differences)  # NaN wins
    return Parity(len(pairs), *worst.tolist())


def _packed_window(window: tuple[Event, ...], packed: dict[int, bytes]) -> list[bytes]:
    """Return the rows of a window; an event stands in many windows, and each is packed once."""
    for event in window:
        if id(event) not in packed:
            packed[id(event)] = pack_row(event)
    return [packed[id(event)] for event in window]


def _differences(
    model: SavedModel,
    corrector: HazardCorrector,
    rows: Sequence[Sequence[bytes]],
    batch: Sequence[tuple[tuple[Event, ...], SeenPrediction]],
) -> npt.NDArray[np.float64]:
    """Return the largest differences of a batch: next action, churn, next items; float64[3]."""
    outputs = model.last_outputs(rows)
    predictions = [prediction for _, prediction in batch]
    names = model.specification.action_names
    actions = np.array(
        [
            [np.nan] * len(names)
            if prediction.next_action is None or prediction.next_action.keys() != set(names)
            else [prediction.next_action[name] for name in names]
            for prediction in predictions
        ]
    )
    return np.array(
        [
            np.abs(actions - outputs["next_action"]).max(),
            _churn_difference(model, outputs.get("hazard"), corrector, batch),
            _items_difference(model, outputs, batch),
        ]
    )


def _churn_difference(
    model: SavedModel,
    hazard: npt.NDArray[np.float32] | None,
    corrector: HazardCorrector,
    batch: Sequence[tuple[tuple[Event, ...], SeenPrediction]],
) -> float:
    predictions = [prediction for _, prediction in batch]
    horizon_ms = model.specification.churn_horizon_ms
    if hazard is None or horizon_ms is None:
        return 0.0 if all(prediction.churn is None for prediction in predictions) else math.nan
    stated = np.array(
        [
            np.nan
            if prediction.churn is None or prediction.churn.horizon_ms != horizon_ms
            else prediction.churn.probability
            for prediction in predictions
        ]
    )
    hazard = corrector.corrected(hazard, [window for window, _ in batch])
    expected = silent_until(hazard, model.specification.hazard_edges_ms, horizon_ms)
    return float(np.abs(stated - expected).max())


def silent_until(
    hazard: npt.NDArray[np.float32], edges_ms: Sequence[int], until_ms: int
) -> npt.NDArray[np.float64]:
    """Return P(no event until ``until_ms``), float64[batch], from a hazard [batch, bins].

    Each whole bin that passes leaves 1 - hazard of the users; a part of a bin, that to the power of
    the part. The last bin is open, in stretches as long as the bin before it.
    """
    silent = np.ones(len(hazard))
    last = len(edges_ms) - 1
    for index, start_ms in enumerate(edges_ms):
        length_ms = edges_ms[index + 1] - start_ms if index < last else start_ms - edges_ms[index - 1]
        passed = max(0.0, (until_ms - start_ms) / length_ms)
        if index < last:
            passed = min(1.0, passed)
        survives = 1.0 - np.minimum(hazard[:, index].astype(np.float64), _LARGEST_HAZARD)
        silent *= survives**passed
    return silent


def _items_difference(
    model: SavedModel,
    outputs: dict[str, npt.NDArray[np.float32]],
    batch: Sequence[tuple[tuple[Event, ...], SeenPrediction]],
) -> float:
    """Return the largest difference between a stated score and the model's logit of that item.

    The catalogue gives scale * cosine of the model's query; what the window's own items give comes on top.
    """
    worst = 0.0
    if "query" not in outputs:
        return 0.0 if all(prediction.next_items is None for _, prediction in batch) else math.nan
    for place, (window, prediction) in enumerate(batch):
        if prediction.next_items is None:
            return math.nan
        query = outputs["query"][place].astype(np.float64)
        own = outputs["own"][place].astype(np.float64).tolist() if "own" in outputs else None
        for item in prediction.next_items:
            logit = -math.inf
            index = model.item_index.get(item.item_id)
            if index is not None:
                logit = model.specification.item_logit_scale * float(query @ model.item_vectors[index])
            if own is not None:
                logit = float(np.logaddexp(logit, own_logit(item.item_id, window, own)))
                rank = own_rank(item.item_id, window)
                logit += 0.0 if rank is None else float(model.own_offsets[rank])
            if logit == -math.inf:
                return math.nan
            worst = max(worst, abs(item.score - logit))
    return worst
