"""Steps 4 and 5: windows, hidden states and heads for every event of a group of batches, at once.

`advance` does all that the next group waits for, and `finish` the rest, so that `streamer.scorer` can run one
group's end beside the next one's beginning. Both together are a pure function of the model, the batches and
their users' states.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from model_store.encoder import Inputs
from model_store.kernels.text import equal_texts
from model_store.lookback import Lookback
from model_store.own_items import OWN_EVENTS
from model_store.recompute import states_behind, states_of_windows
from model_store.serving import ServedModel
from model_store.stored_states import packed_states, states_at
from model_store.windows import Rows
from streamer.cleaning import gate_of
from streamer.profile import Profile
from streamer.records import DeadLetter, SourcePartition
from streamer.rendered import Predictions
from streamer.rendering import RenderingSettings, find_next_items, predict, render
from streamer.state import write_states
from streamer.windowing import BatchPlan, Group, Steps, take_steps

States = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]


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
    predictions: Predictions
    dead_letters: list[DeadLetter]
    duplicate_events: int
    states: dict[bytes, bytes] = field(repr=False)


@dataclass(frozen=True)
class Advanced:
    """A group whose users' slots are advanced: what its predictions are made of.

    ``states`` float32[steps, …] is what the heads read behind each step, ``inputs`` and ``lookback`` are its
    event and its past, ``flags`` what the model's cleaning says of it. ``kept`` are the records that each
    batch leaves behind, by user.
    """

    model: ServedModel
    group: Group
    plans: Sequence[BatchPlan]
    steps: Steps
    lookback: Lookback
    inputs: Inputs
    states: States
    flags: Sequence[tuple[str, ...]] | None
    kept: Sequence[dict[bytes, bytes]]


def score_group(
    model: ServedModel,
    group: Group,
    settings: ScoringSettings,
    scored_at_ms: int,
    profile: Profile,
) -> list[ScoredBatch]:
    """Return the predictions of every batch of ``group``, in order, and advance the users' slots."""
    return finish(advance(model, group, settings, profile), settings, scored_at_ms, profile)


def advance(model: ServedModel, group: Group, settings: ScoringSettings, profile: Profile) -> Advanced:
    """Put the events of ``group`` into their users' windows and states, and leave these in the slots.

    The batches of one partition stand in order. A user's second event sees the state behind the first.
    """
    with profile.measure("windows"):
        lateness_ms = settings.allowed_lateness_ms
        gate = gate_of(model.encoder.cleaning, group, model.window_size, lateness_ms)
        steps, plans = take_steps(model, group, lateness_ms, gate)
    with profile.measure("cleaning"):
        flags = gate.flags(steps.windows.all_packed()) if gate is not None else None
    with profile.measure("network"):
        last, lookback = steps.windows.lookback(max(model.lookback_events, OWN_EVENTS - 1))
        inputs = model.encoder.encode(last, lookback)
        states = _stepped(model, steps, lookback.source, inputs)
    with profile.measure("states"):
        kept = _keep(group, plans, steps, states, model)
    return Advanced(model, group, plans, steps, lookback, inputs, states, flags, kept)


def finish(
    advanced: Advanced, settings: ScoringSettings, scored_at_ms: int, profile: Profile
) -> list[ScoredBatch]:
    """Return the predictions of every batch of the group, in order. Nothing that is shared changes."""
    model, steps, plans = advanced.model, advanced.steps, advanced.plans
    with profile.measure("heads"):
        outputs = predict(model, steps, advanced.states, advanced.inputs, settings.rendering)
    with profile.measure("next items"):
        next_items = find_next_items(model, steps, advanced.lookback, outputs.heads, settings.rendering)
    with profile.measure("predictions"):
        sources = [batch.source for batch, _ in advanced.group]
        source_of_step = np.repeat(np.arange(len(plans)), [plan.end_step - plan.first_step for plan in plans])
        predictions = render(
            model, steps, sources, source_of_step, outputs, next_items, scored_at_ms, advanced.flags
        )
    return [
        ScoredBatch(
            batch.source,
            batch.next_offset,
            predictions.part(plan.first_step, plan.end_step),
            batch.dead_letters,
            batch.duplicate_events,
            kept,
        )
        for (batch, _), plan, kept in zip(advanced.group, plans, advanced.kept, strict=True)
    ]


def _keep(
    group: Group, plans: Sequence[BatchPlan], steps: Steps, states: States, model: ServedModel
) -> list[dict[bytes, bytes]]:
    """Return the records to store behind each batch, by user, and leave the newest in the slots."""
    records = iter(_records(model, steps, states, [step for plan in plans for step in plan.ends.values()]))
    kept = [dict(zip(plan.ends, records, strict=False)) for plan in plans]
    for (_, slots), of_batch in zip(group, kept, strict=True):
        for user, record in of_batch.items():
            slots[user].record = record
    partial = steps.partial[steps.users]
    if partial.any():
        for (_, slots), plan in zip(group, plans, strict=True):
            for step in np.flatnonzero(partial[plan.first_step : plan.end_step]).tolist():
                slots[steps.keys[plan.first_step + step]].partial = True
    return kept


def _records(model: ServedModel, steps: Steps, states: States, ends: list[int]) -> list[bytes]:
    """Return what is to be stored of the users behind the steps ``ends``."""
    chosen = np.array(ends, np.int64)
    hidden = packed_states(states[chosen][:, : model.state_units], bounded=model.state_bounded)
    return write_states(
        steps.windows.octets,
        steps.windows.starts[chosen],
        steps.windows.counts[chosen],
        equal_texts(hidden),
        {place: steps.names[step] for place, step in enumerate(ends) if step in steps.names},
        steps.partial[steps.users[chosen]],
        np.full(len(ends), model.fingerprint),
        steps.kept,
        np.where(steps.grown[chosen], steps.users[chosen], -1),
    )


def _stepped(model: ServedModel, steps: Steps, rows: Rows, inputs: Inputs) -> States:
    """Return what the heads read behind each step, float32[steps, …]; ``inputs`` are its encoded event.

    ``rows`` are those of the steps' windows.
    Of a recurrent model that is the state; any other is run over all the steps' windows at once.
    """
    if not model.recurrent:
        return states_of_windows(model, steps.windows.all_packed())
    projected = model.project(inputs)
    if not (steps.rebuilds.any() or (steps.priors >= 0).any()):
        return model.go_on(_kept_states(model, steps, np.arange(len(steps))), projected)
    states = model.zero_state(len(steps))
    rebuilt = np.flatnonzero(steps.rebuilds)
    if rebuilt.size:
        starts, counts = steps.windows.starts[rebuilt], steps.windows.counts[rebuilt]
        states[rebuilt] = states_behind(model, rows, starts, counts)
    for indices in _incremental_rounds(steps):
        before = _states_before(model, steps, states, indices)
        states[indices] = model.go_on(before, projected[indices])
    return states


def _incremental_rounds(steps: Steps) -> list[Ints]:
    """Return the steps that go on from a kept state, by round: int64[steps of the round] each."""
    incremental = ~steps.rebuilds
    if not incremental.any():
        return []
    return [
        np.flatnonzero(incremental & (steps.rounds == number)) for number in range(steps.rounds.max() + 1)
    ]


def _states_before(model: ServedModel, steps: Steps, states: States, indices: Ints) -> States:
    """Return the states that the steps of one round go on from, float32[indices, state_units]."""
    priors = steps.priors[indices]
    before = states[np.maximum(priors, 0)]
    fresh = priors < 0
    if fresh.any():
        before[fresh] = _kept_states(model, steps, indices[fresh])
    return before


def _kept_states(model: ServedModel, steps: Steps, chosen: Ints) -> States:
    """Return the states that the users of the ``chosen`` steps came with, float32[chosen, state_units]."""
    heads, users = steps.kept.heads, steps.users[chosen]
    starts = np.where(heads.hidden_bytes[users] == 0, -1, heads.hidden_at[users])
    return states_at(steps.kept.packed, starts, model.state_units, bounded=model.state_bounded)
