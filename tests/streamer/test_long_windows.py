"""Windows longer than what features read of them, whose first rows stay in the record at first."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from model_store.features.groups import GROUP_NAMES
from model_store.own_items import OWN_EVENTS
from model_store.recompute import states_of_windows
from model_store.stored_states import unpacked_states
from model_store.windows import pack_row
from producers.events import Event
from streamer.decoding import decode_batch
from streamer.memory import PartitionMemory, Slot
from streamer.profile import Profile
from streamer.records import DecodedBatch, SourcePartition
from streamer.rendering import RenderingSettings
from streamer.scoring import ScoringSettings, score_group
from streamer.state import unpack_state
from tests.streamer.events import START_MS, batch, event, record
from tests.streamer.models import random_model

WINDOW = 3 * OWN_EVENTS
LATENESS_MS = 1_000
MODELS = [random_model(window_size=WINDOW, groups=GROUP_NAMES, seed=seed) for seed in (1, 2)]
SETTINGS = ScoringSettings(LATENESS_MS, RenderingSettings(3, 0.8))
SOURCE = SourcePartition("topicid0abcdefghijklmn", 0)


def stream(seed: int, count: int = 500) -> list[Event]:
    """Return events of two users: some repeated from long ago, some late by up to most of a window."""
    random = np.random.default_rng(seed)
    events: list[Event] = []
    for number in range(count):
        if events and random.random() < 0.08:
            events.append(events[int(random.integers(max(0, number - 150), number))])
            continue
        late_ms = int(random.integers(LATENESS_MS + 100)) if random.random() < 0.03 else 0
        user = ["ann", "bob"][int(random.random() < 0.3)]
        item = f"item-{random.integers(45)}" if random.random() < 0.9 else "item-0"
        events.append(event(f"e{number}", user, 2_000 + 20 * number - late_ms, item))
    return events


def expected_windows(events: list[Event]) -> dict[str, bytes]:
    windows: defaultdict[str, list[Event]] = defaultdict(list)
    for one in events:
        window = windows[one.user_id]
        if any(one.event_id == kept.event_id for kept in window):
            continue
        if window and one.event_time_ms < window[-1].event_time_ms - LATENESS_MS:
            continue
        if len(window) == WINDOW:
            del window[: WINDOW // 2]
        window.append(one)
        window.sort(key=lambda kept: kept.event_time_ms)
    return {user: b"".join(map(pack_row, window)) for user, window in windows.items()}


def groups_of(events: list[Event], seed: int, most: int) -> list[list[list[Event]]]:
    """Return the events in groups of up to three batches of up to ``most``."""
    random = np.random.default_rng(seed)
    groups, at = [], 0
    while at < len(events):
        group = []
        for size in random.integers(1, most + 1, size=int(random.integers(1, 4))).tolist():
            group.append(events[at : at + size])
            at += size
        groups.append([some for some in group if some])
    return groups


@pytest.mark.parametrize("most", [1, 4, 40])
@pytest.mark.parametrize("seed", range(6))
def test_long_windows_equal_the_rule_on_plain_lists_and_their_states_a_recompute(
    seed: int, most: int
) -> None:
    events, stored, seen = stream(seed), dict[bytes, bytes](), 0
    for number, group in enumerate(groups_of(events, seed, most)):
        model = MODELS[number // 25 % 2]  # promoted now and then
        memory, work = PartitionMemory(), list[tuple[DecodedBatch, dict[bytes, Slot]]]()
        for some in group:
            decoded = decode_batch(batch([record(seen + at, one) for at, one in enumerate(some)]), SOURCE)
            seen += len(some)
            slots, missing = memory.claim(dict.fromkeys(user for user, _, _ in decoded.events))
            for user in missing:
                slots[user].record = stored.get(user)
            work.append((decoded, slots))
        for result in score_group(model, work, SETTINGS, START_MS, Profile()):
            stored.update(result.states)
        states = {user.decode(): unpack_state(packed) for user, packed in stored.items()}
        assert {user: state.rows for user, state in states.items()} == expected_windows(events[:seen])
        for state in states.values():
            if state.model == model.fingerprint:
                kept = unpacked_states(state.hidden, model.state_units, bounded=model.state_bounded)
                np.testing.assert_allclose(kept, states_of_windows(model, [state.rows]), atol=24 * 2.0**-23)
