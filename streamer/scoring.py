"""Steps 4 and 5: windows, hidden states and heads for every event of a group of batches, at once.

`score_group` is a pure function of the model, the batches and their users' states; `streamer.scorer`
calls it in the scoring thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model_store.encoder import Inputs
from model_store.lookback import lookback_of_windows
from model_store.own_items import OWN_EVENTS
from model_store.recompute import states_of_windows
from model_store.serving import ServedModel
from model_store.stored_states import packed_states, unpacked_states
from streamer.cleaning import gate_of
from streamer.memory import Slot
from streamer.profile import Profile
from streamer.records import DeadLetter, DecodedBatch, SourcePartition
from streamer.rendering import RenderingSettings, find_next_items, predict, render
from streamer.state import UserState, pack_states
from streamer.windowing import BatchPlan, Steps, WindowPlanner

States = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ScoringSettings:
    """What scoring must be told beside the model."""

    allowed_lateness_ms: int
    rendering: RenderingSettings


@dataclass(frozen=True)
class ScoredBatch:
    """Everything that becomes of one batch: what to publish, and the states to write after it."""

    source: SourcePartition
    next_offset: int
    predictions: list[tuple[bytes, bytes]]  # key, value
    dead_letters: list[DeadLetter]
    duplicate_events: int
    states: dict[bytes, bytes] = field(repr=False)


def score_group(
    model: ServedModel,
    group: Sequence[tuple[DecodedBatch, Mapping[bytes, Slot]]],
    settings: ScoringSettings,
    scored_at_ms: int,
    profile: Profile,
) -> list[ScoredBatch]:
    """Return the predictions of every batch of ``group``, in order, and advance the users' slots.

    The batches of one partition stand in order. A user's second event sees the state behind the first.
    """
    with profile.measure("windows"):
        lateness_ms = settings.allowed_lateness_ms
        gate = gate_of(model.encoder.cleaning, group, model.window_size, lateness_ms)
        planner = WindowPlanner(
            model.window_size,
            lateness_ms,
            model.fingerprint,
            gate,
            model.known_items,
            model.state_bytes,
        )
        plans = [planner.apply(batch, slots) for batch, slots in group]
        steps = planner.steps
    with profile.measure("cleaning"):
        flags = gate.flags(steps.windows) if gate is not None else None
    with profile.measure("network"):
        reach = max(model.lookback_events, OWN_EVENTS - 1)
        rows, lookback = lookback_of_windows(steps.windows, reach)
        inputs = model.encoder.encode(rows, lookback)
        states = _advance(model, steps, inputs)
        outputs = predict(model, steps, states, inputs, settings.rendering)
    with profile.measure("next items"):
        next_items = find_next_items(model, steps, lookback, outputs.heads, settings.rendering)
    with profile.measure("predictions"):
        sources = [batch.source for batch, _ in group]
        source_of_step = np.repeat(np.arange(len(group)), [len(_span(plan)) for plan in plans])
        predictions = render(model, steps, sources, source_of_step, outputs, next_items, scored_at_ms, flags)
    with profile.measure("states"):
        return _results(group, plans, steps, predictions, states, model)


def _results(
    group: Sequence[tuple[DecodedBatch, Mapping[bytes, Slot]]],
    plans: Sequence[BatchPlan],
    steps: Steps,
    predictions: list[tuple[bytes, bytes]],
    states: States,
    model: ServedModel,
) -> list[ScoredBatch]:
    """Give each batch its predictions, and the states to store behind it."""
    ends = [step for plan in plans for _, step in plan.windows.values()]
    hidden = packed_states(states[ends][:, : model.state_units], bounded=model.state_bounded)
    kept = []
    for step, stored in zip(ends, hidden, strict=True):
        steps.states[step].hidden = stored  # of a user's several ends, the last one stays
        partial = steps.states[step].partial
        kept.append(
            UserState(steps.windows[step], stored, model.fingerprint, steps.names[step], partial=partial)
        )
    records = iter(pack_states(kept))
    return [
        ScoredBatch(
            batch.source,
            batch.next_offset,
            predictions[plan.first_step : plan.end_step],
            batch.dead_letters,
            batch.duplicate_events,
            {user: next(records) for user in plan.windows},
        )
        for (batch, _), plan in zip(group, plans, strict=True)
    ]


def _span(plan: BatchPlan) -> range:
    return range(plan.first_step, plan.end_step)


def _advance(model: ServedModel, steps: Steps, inputs: Inputs) -> States:
    """Return what the heads read behind each step, float32[steps, …]; ``inputs`` are its encoded event.

    Of a recurrent model that is the state; any other is run over all the steps' windows at once.
    """
    if not model.recurrent:
        return states_of_windows(model, steps.windows)
    if len(steps) and not any(steps.rebuilds) and max(steps.priors) < 0:
        return model.step(_kept_states(model, steps, range(len(steps))), inputs)
    states = model.zero_state(len(steps))
    rebuilt = [step for step, rebuild in enumerate(steps.rebuilds) if rebuild]
    if rebuilt:
        states[rebuilt] = states_of_windows(model, [steps.windows[step] for step in rebuilt])
    for indices in _incremental_rounds(steps):
        before = _states_before(model, steps, states, indices)
        states[indices] = model.step(before, inputs.take(indices))
    return states


def _incremental_rounds(steps: Steps) -> list[npt.NDArray[np.int64]]:
    """Return the steps that go on from a kept state, by round: int64[steps of the round] each."""
    incremental = ~np.array(steps.rebuilds, dtype=np.bool_)
    rounds = np.array(steps.rounds, dtype=np.int64)
    if not incremental.any():
        return []
    return [np.flatnonzero(incremental & (rounds == number)) for number in range(int(rounds.max()) + 1)]


def _states_before(
    model: ServedModel, steps: Steps, states: States, indices: npt.NDArray[np.int64]
) -> States:
    """Return the states that the steps of one round go on from, float32[indices, state_units]."""
    priors = np.array(steps.priors, dtype=np.int64)[indices]
    before = states[np.maximum(priors, 0)]
    fresh = np.flatnonzero(priors < 0)
    if fresh.size:
        before[fresh] = _kept_states(model, steps, indices[fresh].tolist())
    return before


def _kept_states(model: ServedModel, steps: Steps, chosen: Iterable[int]) -> States:
    """Return the states that the users of the ``chosen`` steps came with, float32[chosen, state_units]."""
    zero = bytes(model.state_bytes)
    kept = b"".join([steps.states[step].hidden or zero for step in chosen])
    return unpacked_states(kept, model.state_units, bounded=model.state_bounded)
