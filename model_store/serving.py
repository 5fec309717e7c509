"""A trained model as the live path uses it, on whole batches.

A recurrent network goes on from each user's kept state by one step of NumPy. One that looks at the whole
window keeps no state, and TensorFlow runs it over the window at each event. All have the same heads.

A `ServedModel` holds no state of any user and changes nothing that is handed to it, so threads may share it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import faiss
import numpy as np
import numpy.typing as npt

from model_store.churn.correction import ChurnCorrection
from model_store.companion import Companion
from model_store.encoder import Encoder, Inputs
from model_store.errors import FileCorruptError
from model_store.item_index import ItemIndex, load_item_index
from model_store.kernels.text import json_strings
from model_store.own_items import OWN_EVENTS, OwnItems
from model_store.pauses import Pause, no_pause
from model_store.ranking import ItemRanking
from model_store.recurrent_body import RecurrentBody
from model_store.served_heads import Heads, served_heads
from model_store.session_purchase import SessionPurchase, feature_count
from model_store.specification import (
    ENSEMBLE_FILE,
    KERAS_FILE,
    NetworkSpecification,
    Weights,
    load_specification,
    load_weights,
)
from model_store.state_fingerprint import state_fingerprint
from model_store.stepping import Floats
from model_store.stored_states import bytes_of_number
from model_store.survival import survival_of
from model_store.window_body import WindowBody

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from model_store.artifacts import ModelStore


class ServedModel:
    """One version of a model, ready to score. `load_served_model` makes it from an artifact."""

    def __init__(
        self,
        name: str,
        version: str,
        fingerprint: int,
        specification: NetworkSpecification,
        weights: Weights,
        encoder: Encoder,
        index: ItemIndex,
        window_body: WindowBody | None = None,
        session_purchase: SessionPurchase | None = None,
        churn: ChurnCorrection | None = None,
        companion: Companion | None = None,
    ) -> None:
        """Take the parts of an artifact. ``fingerprint``, 32 bits, tells apart models whose states differ.

        ``window_body`` runs a network that is not recurrent; a recurrent one has none.
        """
        self.name = name
        self.version = version
        self.fingerprint = fingerprint
        self.specification = specification
        self.window_size = specification.window_size
        self.action_names = specification.action_names
        self.encoder = encoder
        self.index = index
        self.survival = survival_of(specification)
        self._cell_body = RecurrentBody(specification, weights) if specification.recurrent else None
        self._window_body = window_body
        self.session_purchase = session_purchase
        self._churn = churn
        self._companion = companion
        if churn is not None:
            encoder.tell_visits()
        self._heads = served_heads(specification, weights)
        self._ranking = ItemRanking(specification, weights, encoder, index)
        self.known_items = frozenset(encoder.items) if specification.own_items else None
        self.item_texts = json_strings(encoder.items)

    @property
    def recurrent(self) -> bool:
        """Whether the model goes on from a kept state. If not, only `behind_windows` runs it."""
        return self._cell_body is not None

    @property
    def state_units(self) -> int:
        """How many numbers are kept of a user beside the window; 0 if the model is not recurrent."""
        return 0 if self._cell_body is None else self._cell_body.state_units

    @property
    def projected_units(self) -> int:
        """How many numbers `project` gives of an event; 0 if the model is not recurrent."""
        return 0 if self._cell_body is None else self._cell_body.projected_units

    @property
    def state_bounded(self) -> bool:
        """Whether a state's numbers lie inside -1 to 1, as `stored_states` asks."""
        return self._cell_body is not None and self._cell_body.bounded

    @property
    def state_bytes(self) -> int:
        """How many bytes a user's state takes in its stored form."""
        return self.state_units * bytes_of_number(bounded=self.state_bounded)

    def zero_state(self, batch: int) -> Floats:
        """Return the state before a window's first event, float32[batch, state_units]."""
        return np.zeros((batch, self.state_units), np.float32)

    def step(self, state: Floats, inputs: Inputs) -> Floats:
        """Return the states after one more event of each user, float32[batch, state_units].

        It is `go_on` behind `project`. Raises ValueError if the model is not recurrent.
        """
        return self.go_on(state, self.project(inputs))

    def project(self, inputs: Inputs) -> Floats:
        """Return what `go_on` takes of each event, float32[batch, projected_units]: it hangs on no state.

        Raises ValueError if the model is not recurrent.
        """
        return self._stepped_body().project(inputs)

    def go_on(self, state: Floats, projected: Floats) -> Floats:
        """Return the states after one more event of each user, float32[batch, state_units].

        ``projected`` is what `project` says of the events. The result is in the form in which states are
        stored, so that a batch's end changes nothing. Raises ValueError if the model is not recurrent.
        """
        return self._stepped_body().go_on(state, projected)

    def _stepped_body(self) -> RecurrentBody:
        if self._cell_body is None:
            raise ValueError(f"a {self.specification.network} network cannot be stepped")
        return self._cell_body

    def behind_windows(self, windows: Sequence[bytes]) -> Floats:
        """Return what `heads` reads behind the last event of each packed window, [windows, units].

        Raises ValueError if the model is recurrent: `model_store.recompute` steps it over a window.
        """
        if self._window_body is None:
            raise ValueError(f"a {self.specification.network} network is run by `states_of_windows`")
        return self._window_body.behind_windows(windows)

    def heads(self, state: Floats, inputs: Inputs) -> Heads:
        """Return what the model says behind the events of ``inputs``.

        ``state`` is float32[batch, at least units], the hidden vector first: the states of a recurrent model,
        or what `behind_windows` gives.
        """
        heads = self._heads(state[:, : self.specification.units], inputs)
        next_action, hazard = heads.next_action, heads.hazard
        if self._companion is not None and next_action is not None:
            next_action = self._companion.next_action(next_action, inputs)
        if self._churn is not None and hazard is not None and inputs.visits is not None:
            hazard = self._churn(hazard, inputs.visits)
        return Heads(next_action, hazard, heads.query, heads.own)

    def purchase_in_session(self, heads: Heads, inputs: Inputs) -> Floats | None:
        """Return P(a purchase comes later in the session), float32[batch]; None if the model does not say."""
        if self.session_purchase is None or heads.next_action is None:
            return None
        said = self.session_purchase(heads.next_action, inputs)
        return said if self._companion is None else self._companion.purchase_in_session(said, inputs)

    def next_items(self, query: Floats, k: int) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return the ``k`` best next items of each query and their logits, best first.

        The indices, int64[batch, k'], are those of `Encoder.items` and never 0; the logits,
        float32[batch, k'], are the cosine times the model's scale. k' is smaller than ``k`` only where
        the catalogue is.
        """
        return self._ranking.of_catalogue(query, k)

    @property
    def lookback_events(self) -> int:
        """How many rows before an event the model reads, for its inputs and for the window's own items."""
        own = OWN_EVENTS - 1 if self.specification.own_items else 0
        return max(self.encoder.lookback_events, own)

    def ranked_items(
        self, heads: Heads, own: OwnItems | None, k: int, *, exclude_purchased: bool = False
    ) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return the ``k`` best next items behind each event and their logits, best first.

        ``own`` are the items of each event's window; with ``exclude_purchased``, those whose purchase stands
        there are left out. An item that the vocabulary knows has its index of `Encoder.items`; an own one
        that it does not know, the negative of its fingerprint. Where there are fewer than k' items, the last
        are 0 with the logit -inf. Raises ValueError without a query.
        """
        if heads.query is None:
            raise ValueError("this model ranks no items")
        if heads.own is not None and own is not None:
            return self._ranking.with_own(heads.query, heads.own, own, k, exclude_purchased=exclude_purchased)
        if own is None or not exclude_purchased:
            return self.next_items(heads.query, k)
        return self._ranking.without_purchased(heads.query, own, k)

    def logits_of(self, heads: Heads, own: OwnItems, items: npt.NDArray[np.int64]) -> Floats:
        """Return the logits [batch, C] of ``items`` [batch, C], named as `ranked_items` names them.

        An item that neither the vocabulary nor the window holds has a logit below all others. Raises
        ValueError without a query.
        """
        if heads.query is None:
            raise ValueError("this model ranks no items")
        return self._ranking.logits_of(heads.query, heads.own, own, items)


def load_served_model(
    store: ModelStore,
    name: str,
    version: str,
    *,
    exact: bool = False,
    pause: Pause = no_pause,
) -> ServedModel:
    """Return one version of a model, its files verified against their manifest.

    ``exact`` asks for exact next items whatever the catalogue's size. ``pause`` is called between any two
    parts of some milliseconds, for those who share the interpreter's lock with something urgent. From here
    on faiss searches with one thread in this process, since a worker scales by processes, and no signal
    breaks a search off. Raises `ArtifactError`.
    """
    faiss.omp_set_num_threads(1)
    # To look for signals it would take the interpreter's lock hundreds of times in a search, and wait for it.
    faiss.InterruptCallback.clear_instance()  # type: ignore[attr-defined]
    directory = store.path(name, version)
    pause()
    return served_model_in(directory, name, version, exact=exact, pause=pause)


def served_model_in(
    directory: Path, name: str, version: str, *, exact: bool = False, pause: Pause = no_pause
) -> ServedModel:
    """Return the model whose files stand in ``directory``, without verifying a manifest.

    For ``exact`` and ``pause`` see `load_served_model`.

    Raises `FileAbsentError` or `FileCorruptError`.
    """
    if (directory / ENSEMBLE_FILE).exists():
        from model_store.ensemble.artifact import load_ensemble  # which is made of models of this module

        return load_ensemble(directory, name, version, exact=exact, pause=pause)
    specification = load_specification(directory)
    weights = load_weights(directory, specification)
    pause()
    broken = sorted(key for key, value in weights.items() if not np.isfinite(value).all())
    if broken:
        raise FileCorruptError(f"{directory} holds numbers that are not finite in {', '.join(broken)}")
    pause()
    encoder = Encoder.load(directory)
    pause()
    if (len(encoder.items), len(encoder.categories)) != (
        specification.item_count,
        specification.category_count,
    ):
        raise FileCorruptError(f"{directory} holds the encoder of another network: train the model again")
    index = load_item_index(directory, weights["item_vectors"], exact=exact)
    pause()
    body = _window_body(directory, specification, encoder)
    purchase = SessionPurchase.load(directory, feature_count(specification))
    fingerprint = state_fingerprint(directory, specification, weights)
    pause()
    churn = ChurnCorrection.load(directory, len(specification.hazard_edges_ms))
    actions = len(specification.action_names)
    companion = Companion.load(directory, encoder, actions)
    parts = (specification, weights, encoder, index, body, purchase, churn, companion)
    pause()
    return ServedModel(name, version, fingerprint, *parts)


def _window_body(directory: Path, specification: NetworkSpecification, encoder: Encoder) -> WindowBody | None:
    """Return the saved model, loaded and warmed, if the network needs it."""
    if specification.recurrent:
        return None
    path = directory / KERAS_FILE
    outputs = tuple(specification.window_output_widths())
    return WindowBody(path, encoder, specification.numeric_features, outputs)
