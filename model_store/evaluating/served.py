"""A served model over a table of events: what a worker would say behind each of them.

One event at a time for each user, by the window rule, many users side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.evaluation import rows_of_part
from model_store.lookback import lookback_of_windows
from model_store.metrics import accuracy, log_loss
from model_store.own_items import OwnItems, own_items
from model_store.recompute import states_of_windows
from model_store.windows import inserted

if TYPE_CHECKING:
    from model_store.encoder import Inputs
    from model_store.parts import Part
    from model_store.sequences import EventTable, Ints
    from model_store.served_heads import Heads
    from model_store.serving import ServedModel

USERS_AT_ONCE: Final = 1_024


class ServedStep(NamedTuple):
    """The places of some events in the table [B], what the heads read there [B, …], and the heads.

    ``inputs`` are the encoded events, ``own`` the items of their windows.
    """

    events: Ints
    states: npt.NDArray[np.float32]
    inputs: Inputs
    heads: Heads
    own: OwnItems


def served_steps(model: ServedModel, table: EventTable) -> Iterator[ServedStep]:
    """Yield every event of ``table`` once, with what ``model`` says behind it.

    Of `USERS_AT_ONCE` users come the first events, then the second ones, and so on; then come the next users.
    """
    first = np.append(np.flatnonzero(table.starts_user()), len(table))
    for start in range(0, len(first) - 1, USERS_AT_ONCE):
        some = first[start : start + USERS_AT_ONCE + 1]
        yield from _side_by_side(model, table, some[:-1], some[1:])


def served_action_scores(model: ServedModel, part: Part) -> tuple[float | None, float | None]:
    """Return the accuracy and the log loss of the next actions that ``model`` serves on the scored events.

    They are None where no event has a known next action, or the model says none. See `evaluation`.
    """
    asked = rows_of_part(part)
    chosen = np.isin(part.table.user, np.unique(part.table.user[asked.action_scored]))
    truth = np.where(asked.action_scored, asked.next_action, -1)[chosen]
    said = [np.empty((0, len(model.action_names)))]
    known = [np.empty(0, np.int64)]
    for step in served_steps(model, part.table.where(chosen)):
        wanted = truth[step.events] >= 0
        if step.heads.next_action is None:
            return None, None
        said.append(step.heads.next_action[wanted].astype(np.float64))
        known.append(truth[step.events][wanted])
    probabilities, actions = np.concatenate(said), np.concatenate(known)
    if not len(actions):
        return None, None
    return accuracy(probabilities.argmax(axis=1), actions), log_loss(probabilities, actions)


def best_items(model: ServedModel, step: ServedStep, chosen: Ints, k: int) -> npt.NDArray[np.uint64]:
    """Return the ``k`` best next items behind the events at ``chosen`` of ``step``, best first, [chosen, k'].

    They are the items' fingerprints, 0 where there are fewer than k'.
    """
    found, _ = model.ranked_items(step.heads.take(chosen), step.own.take(chosen), k)
    items = model.encoder.item_fingerprints[np.maximum(found, 0)]
    return np.where(found < 0, -found, items.astype(np.int64)).astype(np.uint64)


def _side_by_side(model: ServedModel, table: EventTable, starts: Ints, ends: Ints) -> Iterator[ServedStep]:
    """Yield the first events of the users whose events stand from ``starts`` to ``ends``, then the second."""
    windows = [b""] * len(starts)
    states = model.zero_state(len(starts))
    for step in range(int((ends - starts).max())):
        running = np.flatnonzero(starts + step < ends)
        events = starts[running] + step
        rows = table.rows[events]
        rebuilt = []
        for place, user in enumerate(running.tolist()):
            row = rows[place].tobytes()
            windows[user], _, overflowed = inserted(windows[user], row, model.window_size)
            if overflowed:
                rebuilt.append(user)
        seen = [windows[user] for user in running.tolist()]
        last, lookback = lookback_of_windows(seen, model.lookback_events)
        inputs = model.encoder.encode(last, lookback)
        if model.recurrent:
            states[running] = model.step(states[running], inputs)
            if rebuilt:
                states[rebuilt] = states_of_windows(model, [windows[user] for user in rebuilt])
            stepped = states[running]
        else:
            stepped = states_of_windows(model, seen)
        yield ServedStep(events, stepped, inputs, model.heads(stepped, inputs), own_items(lookback))
