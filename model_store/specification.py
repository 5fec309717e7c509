"""What `network.json` and `weights.npz` hold: everything that serving needs to run a trained network.

A network reads, at each event, the concatenation of the item's vector, the event type's vector, the
category's vector and the numeric features. Its body turns these into a hidden vector behind each event: a
recurrent one (`RECURRENT_NETWORKS`) from the state behind the event before, with the arrays of
`model_store.stepping`; one that looks at the whole window (`WINDOW_NETWORKS`) by `model.keras`. Its heads,
with ``h`` the hidden vector and ``v`` the vector of the event's own item:

- next action: softmax(k @ action_kernel + action_bias), in the order of `action_names`, where k is h and,
  with `direct_inputs`, behind it a column for each event type and the numeric features;
- hazard: sigmoid(k @ hazard_kernel + hazard_bias), one for each bin of `hazard_edges_ms`;
- query: the L2-normalised [h, v] @ query_kernel + query_bias; the logit of an item is
  `item_logit_scale` times the dot product of the query and the item's vector;
- own: [h, v] @ own_kernel + own_bias, from which `model_store.own_items` takes the logits that the window's
  own items have beside those of the catalogue.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, get_args

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.errors import FileAbsentError, FileCorruptError
from model_store.own_items import OWN_OUTPUTS, OWN_RANKS
from model_store.stepping import CELLS, cell_weight_shapes
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from pathlib import Path

NETWORK_FILE: Final = "network.json"
WEIGHTS_FILE: Final = "weights.npz"
KERAS_FILE: Final = "model.keras"
TRAINING_FILE: Final = "training.json"
METRICS_FILE: Final = "metrics.json"
ENSEMBLE_FILE: Final = "ensemble.json"
IMPORTED: Final = "imported"
HIDDEN_OUTPUT: Final = "hidden"
OWN_OFFSETS: Final = "own_offsets"
NO_FURTHER_ACTION: Final = "none"
NetworkName = Literal["simple_rnn", "lstm", "gru", "gru_attention", "transformer"]
RECURRENT_NETWORKS: Final = tuple(CELLS)
WINDOW_NETWORKS: Final = ("gru_attention", "transformer")
NETWORKS: Final = get_args(NetworkName)
ACTION_NAMES: Final = (*(event_type.value for event_type in EVENT_TYPES), NO_FURTHER_ACTION)

Weights = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class NetworkSpecification:
    """The shape and the meaning of one network.

    ``hazard_edges_ms`` are the lower edges of the hazard's bins, ascending from 0; a bin reaches to the
    next edge, with a constant rate inside it. The last bin is open: its hazard is that of each further
    stretch as long as the bin before it. ``churn_horizon_ms`` and ``hazard_edges_ms`` are None and
    empty when the network has no hazard head. ``timed`` is False for a log without real times.
    """

    network: str
    units: int
    item_dimensions: int
    event_type_dimensions: int
    category_dimensions: int
    numeric_features: int
    item_count: int
    category_count: int
    event_type_count: int
    window_size: int
    action_names: tuple[str, ...]
    hazard_edges_ms: tuple[int, ...]
    churn_horizon_ms: int | None
    item_logit_scale: float
    timed: bool
    own_items: bool = False
    direct_inputs: bool = False

    @property
    def recurrent(self) -> bool:
        """Whether the network goes on from a kept state; else it is run over the whole window each time."""
        return self.network in RECURRENT_NETWORKS

    def window_output_widths(self) -> dict[str, int]:
        """Return the outputs of `model.keras` that a network that is not recurrent is served from, in order.

        An imported model says all itself; of our own ones the hidden vector is read, by the heads.
        """
        if self.network != IMPORTED:
            return {HIDDEN_OUTPUT: self.units}
        widths = {
            "next_action": len(self.action_names),
            "hazard": len(self.hazard_edges_ms),
            "query": self.item_dimensions,
        }
        return {name: width for name, width in widths.items() if width}

    @property
    def input_dimensions(self) -> int:
        """How many numbers the body reads at each event."""
        embedded = self.item_dimensions + self.event_type_dimensions + self.category_dimensions
        return embedded + self.numeric_features

    @property
    def known_dimensions(self) -> int:
        """How many numbers the heads of the next action and of the hazard read."""
        direct = self.event_type_count + self.numeric_features
        return self.units + (direct if self.direct_inputs else 0)

    def head_names(self) -> tuple[str, ...]:
        """Return the heads that the network has, as their arrays are named."""
        names = ("action", "hazard", "query") if self.hazard_edges_ms else ("action", "query")
        return (*names, "own") if self.own_items else names

    def weight_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the name and shape of every array in `weights.npz`."""
        shapes: dict[str, tuple[int, ...]] = {"item_vectors": (self.item_count, self.item_dimensions)}
        if self.recurrent:
            shapes |= {
                "event_type_vectors": (self.event_type_count, self.event_type_dimensions),
                "category_vectors": (self.category_count, self.category_dimensions),
                **cell_weight_shapes(self.network, self.input_dimensions, self.units),
            }
        return shapes if self.network == IMPORTED else shapes | self._head_weight_shapes()

    def _head_weight_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes: dict[str, tuple[int, ...]] = {
            "action_kernel": (self.known_dimensions, len(self.action_names)),
            "action_bias": (len(self.action_names),),
            "query_kernel": (self.units + self.item_dimensions, self.item_dimensions),
            "query_bias": (self.item_dimensions,),
        }
        if self.own_items:
            shapes["own_kernel"] = (self.units + self.item_dimensions, OWN_OUTPUTS)
            shapes["own_bias"] = (OWN_OUTPUTS,)
            shapes[OWN_OFFSETS] = (OWN_RANKS,)
        if self.hazard_edges_ms:
            shapes["hazard_kernel"] = (self.known_dimensions, len(self.hazard_edges_ms))
            shapes["hazard_bias"] = (len(self.hazard_edges_ms),)
        return shapes


def save_network(directory: Path, specification: NetworkSpecification, weights: Weights) -> None:
    """Write `network.json` and `weights.npz` into ``directory``. Raises ValueError on a wrong shape."""
    _check_shapes(specification, weights)
    encoded = msgspec.json.format(msgspec.json.encode(asdict(specification)), indent=1)
    (directory / NETWORK_FILE).write_bytes(encoded)
    arrays: dict[str, Any] = {name: np.asarray(value, np.float32) for name, value in weights.items()}
    np.savez(directory / WEIGHTS_FILE, allow_pickle=False, **arrays)


def load_specification(directory: Path) -> NetworkSpecification:
    """Return the specification in ``directory``. Raises `FileAbsentError` or `FileCorruptError`."""
    path = directory / NETWORK_FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=NetworkSpecification)
    except FileNotFoundError as error:
        raise FileAbsentError(f"{path} is missing: train the model again") from error
    except msgspec.DecodeError as error:
        raise FileCorruptError(f"{path} is not a network's specification: {error}") from error


def load_weights(directory: Path, specification: NetworkSpecification) -> dict[str, npt.NDArray[np.float32]]:
    """Return the arrays of `weights.npz`, of the shapes that ``specification`` gives.

    Raises `FileAbsentError`, or `FileCorruptError` when it is no archive or the shapes are not these.
    """
    path = directory / WEIGHTS_FILE
    try:
        with np.load(path, allow_pickle=False) as archive:
            weights = {name: archive[name] for name in archive.files}
        _check_shapes(specification, weights)
    except FileNotFoundError as error:
        raise FileAbsentError(f"{path} is missing: train the model again") from error
    except (ValueError, OSError, EOFError, KeyError) as error:
        raise FileCorruptError(f"{path} does not hold the network's weights: {error}") from error
    return weights


def _check_shapes(specification: NetworkSpecification, weights: Weights) -> None:
    wanted = specification.weight_shapes()
    found = {name: tuple(value.shape) for name, value in weights.items()}
    if found != wanted:
        differing = sorted(
            name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
        )
        raise ValueError(f"weights of the wrong shape: {', '.join(differing)}")
