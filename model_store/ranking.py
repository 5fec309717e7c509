"""The order of the next items: what the catalogue's index finds, and the items of the window itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from model_store.kernels.own_items import add_catalogue, merge_own
from model_store.own_items import OWN_RANKS, OwnItems, own_logits
from model_store.specification import OWN_OFFSETS, NetworkSpecification, Weights

if TYPE_CHECKING:
    from model_store.encoder import Encoder
    from model_store.item_index import ItemIndex

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


class ItemRanking:
    """Ranks the items of one model. It is read by many threads and never changes."""

    def __init__(
        self, specification: NetworkSpecification, weights: Weights, encoder: Encoder, index: ItemIndex
    ) -> None:
        self.index = index
        self._encoder = encoder
        self._scale = np.float32(specification.item_logit_scale)
        self._vectors = weights["item_vectors"]
        self._offsets = weights.get(OWN_OFFSETS, np.zeros(OWN_RANKS, np.float32))

    def of_catalogue(self, query: Floats, k: int, skipped: Ints | None = None) -> tuple[Ints, Floats]:
        """Return the ``k`` best items of each query and their logits, best first; see `ItemIndex.search`."""
        indices, cosines = self.index.search(query, k, skipped)
        cosines *= self._scale
        return indices, cosines

    def without_purchased(self, query: Floats, own: OwnItems, k: int) -> tuple[Ints, Floats]:
        """Return `of_catalogue` without the items whose purchase stands in the windows of ``own``."""
        indices = self._encoder.indices_of_items(own.items).astype(np.int64)
        return self.of_catalogue(query, k, indices * own.purchased)

    def with_own(
        self, query: Floats, outputs: Floats, own: OwnItems, k: int, *, exclude_purchased: bool = False
    ) -> tuple[Ints, Floats]:
        """Return the ``k`` best of the catalogue and of the windows' ``own`` items, and their logits, [B, k].

        They are named as `ServedModel.ranked_items` says. An own item is left out of the search, so that
        the k others that it finds are enough, whatever the own ones come to. With
        ``exclude_purchased`` those are left out whose purchase stands in the window.
        """
        names, logits = self._own(query, outputs, own)
        if exclude_purchased:
            logits[own.purchased] = -np.inf
        found, scores = np.zeros((len(query), k), np.int64), np.full((len(query), k), -np.inf, np.float32)
        indices, of_catalogue = self.of_catalogue(query, k, np.maximum(names, 0))
        found[:, : indices.shape[1]], scores[:, : indices.shape[1]] = indices, of_catalogue
        merge_own(names, logits, found, scores)
        return found, scores

    def logits_of(self, query: Floats, outputs: Floats | None, own: OwnItems, items: Ints) -> Floats:
        """Return the logits [B, C] of ``items`` [B, C]; see `ServedModel.logits_of`."""
        vectors = self._vectors[np.maximum(items, 0)]
        logits: Floats = self._scale * np.einsum("bd,bcd->bc", query, vectors)
        logits[items <= 0] = -2 * self._scale
        if outputs is not None:
            names, totals = self._own(query, outputs, own)
            same = (items[:, :, None] == names[:, None, :]) & (items != 0)[:, :, None]
            place = np.take_along_axis(totals, same.argmax(axis=2), axis=1)
            logits = np.where(same.any(axis=2), place, logits)
        return logits

    def _own(self, query: Floats, outputs: Floats, own: OwnItems) -> tuple[Ints, Floats]:
        """Return the own items' names and whole logits, [B, M]; 0 and -inf where there is none."""
        logits, names = own_logits(outputs, own), np.empty(own.items.shape, np.int64)
        add_catalogue(
            own.items,
            self._encoder.item_table,
            np.ascontiguousarray(query),
            self._vectors,
            self._scale,
            self._offsets,
            logits,
            names,
        )
        return names, logits
