"""Steps 4 and 5: windows, hidden states and heads for every event of a group of batches, at once.

`score_group` is a pure function of the model, the batches and their users' states; `streamer.scorer`
calls it in the scoring thread.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model_store.encoder import Inputs
from model_store.lookback import lookback_of_windows
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
        states, inputs = _advance(model, steps)
        outputs = predict(model, steps, states, inputs, settings.rendering)
    with profile.measure("next items"):
        next_items = find_next_items(model, steps, outputs.heads, settings.rendering)
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


def _advance(model: ServedModel, steps: Steps) -> tuple[States, Inputs]:
    """Return what the heads read behind each step, float32[steps, …], and each step's encoded event.

    Of a recurrent model that is the state; any other is run over all the steps' windows at once.
    """
    inputs = model.encoder.encode(*lookback_of_windows(steps.windows, model.encoder.lookback_events))
    if not model.recurrent:
        return states_of_windows(model, steps.windows), inputs
    states = model.zero_state(len(steps))
    rebuilt = [step for step, rebuild in enumerate(steps.rebuilds) if rebuild]
    if rebuilt:
        states[rebuilt] = states_of_windows(model, [steps.windows[step] for step in rebuilt])
    for indices in _incremental_rounds(steps):
        before = _states_before(model, steps, states, indices)
        states[indices] = model.step(before, inputs.take(indices))
    return states, inputs


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
        zero = bytes(model.state_bytes)
        kept = b"".join(steps.states[step].hidden or zero for step in indices[fresh].tolist())
        before[fresh] = unpacked_states(kept, model.state_units, bounded=model.state_bounded)
    return before
