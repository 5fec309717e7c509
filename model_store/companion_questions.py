"""What a companion is asked and fitted on: what was known behind the events of a part, and what came true."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.companion import Known, read_by
from model_store.evaluating.served import served_steps
from model_store.evaluating.truth import truth_of
from model_store.lookback import lookback_at
from model_store.parts import sampled_by_user
from model_store.session_purchase_fit import fit_session_purchase
from model_store.windows import SESSION_GAP_MS, kept_after_overflow
from producers.events import EVENT_TYPES

if TYPE_CHECKING:
    from model_store.encoder import Encoder
    from model_store.evaluating.truth import Truth
    from model_store.parts import Part
    from model_store.serving import ServedModel

MOST_JUDGED_EVENTS: Final = 20_000
_ENCODED_AT_ONCE: Final = 8_192
_LEAST_OF_EACH: Final = 5

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Question(NamedTuple):
    """What was known [E, R] and what came true [E], one of ``classes``, of the users [E]."""

    known: Known
    truth: Ints
    user: Ints
    classes: int

    def where(self, kept: npt.NDArray[np.bool_]) -> Question:
        """Return the events in ``kept`` [E]."""
        return self._replace(known=self.known[kept], truth=self.truth[kept], user=self.user[kept])

    def some(self, most_events: int) -> Question:
        """Return the events of every n-th user, about ``most_events`` if there are more."""
        every = -(-len(self.truth) // most_events)
        if every <= 1:
            return self
        return self.where(np.unique(self.user, return_inverse=True)[1] % every == 0)

    def answerable(self) -> bool:
        """Tell whether two of the classes came often enough to tell them apart."""
        return int(np.count_nonzero(np.bincount(self.truth) >= _LEAST_OF_EACH)) > 1


def questions_of(
    model: ServedModel, encoder: Encoder, part: Part, most_events: int
) -> tuple[Question, Question]:
    """Return the next actions, and the purchases in the session, of the events whose future is known."""
    part = sampled_by_user(part, most_events)
    truth = truth_of(part, SESSION_GAP_MS)
    known = known_behind(encoder, part, model.window_size)[truth.event]
    ended = truth.session_known
    return (
        Question(known, truth.next_action, truth.user, len(model.action_names)),
        Question(known[ended], truth.bought[ended].astype(np.int64), truth.user[ended], 2),
    )


def known_behind(encoder: Encoder, part: Part, window_size: int) -> npt.NDArray[np.float32]:
    """Return what is known behind each event of the part, from windows of ``window_size`` events."""
    rows, here = part.table.rows, np.arange(len(part.table))
    begins = np.maximum.accumulate(np.where(part.table.starts_user(), here, 0)) if len(here) else here
    place = _held(here - begins, window_size)
    width = encoder.numeric_features + encoder.extra_features + len(EVENT_TYPES)
    found = [np.empty((0, width), np.float32)]
    for start in range(0, len(rows), _ENCODED_AT_ONCE):
        some = here[start : start + _ENCODED_AT_ONCE]
        inputs = encoder.encode(rows[some], lookback_at(rows, some, place[some], encoder.lookback_events))
        types = np.eye(len(EVENT_TYPES), dtype=np.float32)[inputs.event_type]
        found.append(np.concatenate([read_by(inputs), types], axis=1))
    return np.concatenate(found)


def _held(before: Ints, window_size: int) -> Ints:
    """Return how many of the events ``before`` [E] its window still holds; see `windows.inserted`."""
    kept = kept_after_overflow(window_size) if window_size > 1 else 0
    held: Ints = np.where(before < window_size, before, kept + (before - window_size) % (window_size - kept))
    return held


def said_by_network(model: ServedModel, fitting: Part, validation: Part) -> tuple[Floats, Floats]:
    """Return the logits of the network, [E, A] and [E', 1], to the questions of the validation part."""
    part = sampled_by_user(validation, MOST_JUDGED_EVENTS)
    truth: Truth = truth_of(part, SESSION_GAP_MS)
    purchase = fit_session_purchase(model, fitting)
    actions = np.ones((len(part.table), len(model.action_names)))
    bought = np.full(len(part.table), 0.5)
    for step in served_steps(model, part.table):
        said = step.heads.next_action
        if said is not None:
            actions[step.events] = said
            if purchase is not None:
                bought[step.events] = purchase(said, step.inputs)
    bought = np.clip(bought[truth.event][truth.session_known], 1e-7, 1 - 1e-7)
    logit: Floats = np.log(bought) - np.log1p(-bought)
    return np.log(np.maximum(actions[truth.event], 1e-7)), logit[:, None]
