"""An ensemble as the live path uses it: several networks side by side, and one order of all their items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from model_store.encoder import Inputs
from model_store.ensemble.candidates import Tables, candidates, own_names
from model_store.own_items import OwnItems
from model_store.served_heads import Heads
from model_store.serving import ServedModel
from model_store.stepping import Floats

_AT_ONCE = 256


@dataclass(frozen=True)
class EnsembleHeads(Heads):
    """The heads of an ensemble: the means of its networks', and each network's own in ``members``."""

    members: tuple[Heads, ...] = ()

    def take(self, chosen: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> EnsembleHeads:
        """Return the heads at ``chosen`` of the batch."""
        return joined_heads([member.take(chosen) for member in self.members])


class EnsembleModel(ServedModel):
    """Serves several recurrent networks of one encoder as one model.

    A user's state is their states behind one another. The next action and the hazard are the means of theirs;
    an item's score is the sum of ``weights`` [F] times its features (`ensemble.candidates`).
    """

    def __init__(
        self,
        name: str,
        version: str,
        fingerprint: int,
        members: Sequence[ServedModel],
        tables: Tables,
        weights: npt.NDArray[np.float64],
    ) -> None:
        """Take the parts of an artifact. Raises ValueError unless all ``members`` are recurrent."""
        if not all(member.recurrent for member in members):
            raise ValueError("an ensemble takes recurrent networks only")
        self.__dict__.update(members[0].__dict__)
        for member in members:
            if member.encoder.extra:
                self.encoder.tell_extra(member.encoder.extra)
        self.name = name
        self.version = version
        self.fingerprint = fingerprint
        self._members = tuple(members)
        self._tables = tables
        self._weights = np.asarray(weights, np.float32)

    @property
    def state_units(self) -> int:
        """How many numbers are kept of a user beside the window: those of all networks."""
        return sum(member.state_units for member in self._members)

    @property
    def projected_units(self) -> int:
        """How many numbers `project` gives of an event: those of all networks."""
        return sum(member.projected_units for member in self._members)

    @property
    def state_bounded(self) -> bool:
        """Whether the numbers of all networks' states lie inside -1 to 1."""
        return all(member.state_bounded for member in self._members)

    def project(self, inputs: Inputs) -> Floats:
        """Return what `go_on` takes of each event, of one network behind another."""
        return np.concatenate([member.project(inputs) for member in self._members], axis=1)

    def go_on(self, state: Floats, projected: Floats) -> Floats:
        """Return the states after one more event of each user, float32[batch, state_units]."""
        ends = np.cumsum([member.projected_units for member in self._members])
        parts = zip(self._members, self._parts(state), np.split(projected, ends[:-1], axis=1), strict=True)
        stepped = [member.go_on(part, np.ascontiguousarray(of_inputs)) for member, part, of_inputs in parts]
        return np.concatenate(stepped, axis=1)

    def heads(self, state: Floats, inputs: Inputs) -> EnsembleHeads:
        """Return what the networks say behind the events of ``inputs``."""
        return joined_heads(
            [
                member.heads(part, inputs)
                for member, part in zip(self._members, self._parts(state), strict=True)
            ]
        )

    def ranked_items(
        self, heads: Heads, own: OwnItems | None, k: int, *, exclude_purchased: bool = False
    ) -> tuple[npt.NDArray[np.int64], Floats]:
        """Return the ``k`` best next items behind each event; see `ServedModel.ranked_items`.

        Raises ValueError for other heads than an ensemble's, or without the windows' items.
        """
        if not isinstance(heads, EnsembleHeads) or own is None:
            raise ValueError("an ensemble ranks by its networks' heads and the windows' own items")
        batch = len(own.items)
        items, scores = np.zeros((batch, k), np.int64), np.full((batch, k), -np.inf, np.float32)
        for start in range(0, batch, _AT_ONCE):
            some = np.arange(start, min(start + _AT_ONCE, batch))
            made = candidates(
                self._members, self._tables, [member.take(some) for member in heads.members], own.take(some)
            )
            # einsum, not a matrix product: a row's sum must not depend on the rows beside it
            totals = np.einsum("bcf,f->bc", made.features, self._weights)
            totals[made.items == 0] = -np.inf
            if exclude_purchased:
                totals[self._bought(made.items, own.take(some))] = -np.inf
            best = np.lexsort((made.items, -totals), axis=1)[:, :k]
            width = best.shape[1]
            items[some, :width] = np.take_along_axis(made.items, best, axis=1)
            scores[some, :width] = np.take_along_axis(totals, best, axis=1)
        items[scores == -np.inf] = 0
        return items, scores

    def _bought(self, items: npt.NDArray[np.int64], own: OwnItems) -> npt.NDArray[np.bool_]:
        """Tell which of ``items`` [B, C] have their purchase among the ``own`` items."""
        names = own_names(self.encoder, own) * own.purchased
        bought: npt.NDArray[np.bool_] = (
            (items[:, :, None] == names[:, None, :]) & (items != 0)[:, :, None]
        ).any(axis=2)
        return bought

    def _parts(self, state: Floats) -> list[Floats]:
        ends = np.cumsum([member.state_units for member in self._members])
        return [np.ascontiguousarray(part) for part in np.split(state[:, : ends[-1]], ends[:-1], axis=1)]


def joined_heads(members: Sequence[Heads]) -> EnsembleHeads:
    """Return the heads of an ensemble of ``members``."""
    first = members[0]
    means = {
        field.name: _mean([getattr(member, field.name) for member in members])
        for field in fields(Heads)
        if field.name not in ("query", "own")
    }
    return EnsembleHeads(**means, query=first.query, own=first.own, members=tuple(members))


def _mean(values: Sequence[Floats | None]) -> Floats | None:
    present = [value for value in values if value is not None]
    if len(present) < len(values):
        return None
    mean: Floats = np.mean(present, axis=0, dtype=np.float32)
    return mean
