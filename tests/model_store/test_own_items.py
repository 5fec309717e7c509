"""The window's own items: against plain lists, against brute force, and TensorFlow against NumPy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.lookback import lookback_of_windows
from model_store.own_batch import OwnBatch, mixed_losses, own_batch_logits
from model_store.own_items import OWN_EVENTS, OWN_OUTPUTS, OWN_RANKS, merged, own_items, own_logits
from model_store.windows import item_fingerprint, pack_row
from producers.events import EVENT_TYPES, Event, EventType

HOUR_MS = 3_600_000

events = st.lists(
    st.tuples(
        st.sampled_from([None, *"abcdefghijkl"]), st.sampled_from(EVENT_TYPES), st.integers(0, 2 * HOUR_MS)
    ),
    min_size=1,
    max_size=30,
)


def window_of(made: list[tuple[str | None, EventType, int]]) -> list[Event]:
    """Events whose gaps are given, oldest first."""
    at_ms, window = 1_700_000_000_000, []
    for number, (item, event_type, gap_ms) in enumerate(made):
        at_ms += gap_ms // 3
        window.append(
            Event(
                event_id=f"e{number}", user_id="ann", event_type=event_type, event_time_ms=at_ms, item_id=item
            )
        )
    return window


@settings(max_examples=60, deadline=None)
@given(st.lists(events, min_size=1, max_size=5))
def test_own_items_are_the_distinct_ones_newest_first(
    made: list[list[tuple[str | None, EventType, int]]],
) -> None:
    windows = [window_of(one) for one in made]
    own = own_items(*lookback_of_windows([b"".join(map(pack_row, window)) for window in windows]))
    for row, window in enumerate(windows):
        read = window[-OWN_EVENTS:][::-1]
        items = [one.item_id for one in read]
        distinct = list(dict.fromkeys(item for item in items if item is not None))
        stands = own.items[row] != 0
        assert own.items[row][stands].tolist() == [item_fingerprint(item) for item in distinct]
        assert not stands[len(distinct) :].any()
        for rank, item in enumerate(distinct):
            place = items.index(item)
            gaps_ms = [read[at].event_time_ms - read[at + 1].event_time_ms for at in range(place)]
            assert own.log_count[row, rank] == np.float32(np.log(items.count(item)))
            assert own.same_session[row, rank] == all(gap_ms <= HOUR_MS // 2 for gap_ms in gaps_ms)
            assert EVENT_TYPES[own.event_type[row, rank]] == read[place].event_type


def test_a_logit_follows_its_equation_and_tensorflow_says_the_same() -> None:
    window = window_of([(item, EVENT_TYPES[at % 6], HOUR_MS) for at, item in enumerate("abcabdefghijkla")])
    packed = [b"".join(map(pack_row, window)), b"".join(map(pack_row, window[:2]))]
    own = own_items(*lookback_of_windows(packed))
    outputs = np.random.default_rng(0).normal(size=(2, OWN_OUTPUTS)).astype(np.float32)
    logits = own_logits(outputs, own)
    # "a" is the newest item and stands there three times; "c", the last of 12, reads the last rank's output
    assert np.isclose(
        logits[0, 0],
        outputs[0, 0]
        + outputs[0, OWN_RANKS] * np.log(3)
        + outputs[0, OWN_RANKS + 1]
        + outputs[0, OWN_RANKS + 2 + 14 % 6],
        atol=1e-5,
    )
    assert np.isclose(
        logits[0, 11],
        outputs[0, OWN_RANKS - 1] + outputs[0, OWN_RANKS + 1] + outputs[0, OWN_RANKS + 2 + 2],
        atol=1e-5,
    )
    assert np.isinf(logits[1, 2:]).all()
    present = own.items != 0
    batch = OwnBatch(
        present.astype(np.int32), present, present, own.log_count, own.same_session, own.event_type
    )
    np.testing.assert_allclose(own_batch_logits(outputs, batch).numpy()[present], logits[present], atol=1e-5)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 12), st.integers(0, 8), st.integers(1, 10), st.integers(0, 1_000))
def test_merging_the_catalogues_best_equals_ranking_everything(
    catalogue: int, unknown: int, k: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    scores = random.permutation(catalogue).astype(np.float32)
    own = random.permutation(np.append(np.arange(1, catalogue + 1), -np.arange(1, unknown + 1)))[:6]
    own_only = random.normal(0, 5, len(own)).astype(np.float32)
    totals = {item: float(scores[item - 1]) for item in range(1, catalogue + 1)}
    for item, logit in zip(own.tolist(), own_only.tolist(), strict=True):
        totals[item] = float(np.logaddexp(totals.get(item, -np.inf), logit)) + random.normal(0, 5)
    best = np.argsort(-scores)[: k + len(own) + 1]

    found, values = merged(
        (best + 1)[None],
        scores[best][None],
        np.append(own, 0)[None],
        np.append([totals[item] for item in own.tolist()], -np.inf).astype(np.float32)[None],
        k,
    )

    wanted = sorted(totals, key=lambda item: -totals[item])[:k]
    assert [item for item in found[0].tolist() if item] == wanted
    np.testing.assert_allclose(values[0][found[0] != 0], [totals[item] for item in wanted], rtol=1e-5)


def test_the_loss_is_that_of_the_mixture_and_hides_what_the_catalogue_cannot_reach() -> None:
    catalogue = np.array([[0.5, 2.0, -1.0], [1.0, 0.0, 3.0]], np.float32)  # the true ones are columns 1 and 2
    true_logits = np.array([2.0, 3.0], np.float32)
    own = np.array([[0.3, -0.2], [1.5, 0.1]], np.float32)
    is_next = np.array([[True, False], [True, False]])
    log_sums = np.log(np.exp(catalogue).sum(axis=1))
    losses = mixed_losses(log_sums, true_logits, np.array([True, False]), own, is_next).numpy()
    everything = np.exp(catalogue[0]).sum() + np.exp(own[0]).sum()
    assert np.isclose(losses[0], -np.log((np.exp(2.0) + np.exp(0.3)) / everything), atol=1e-5)
    reached = np.exp([1.0, 0.0]).sum() + np.exp(own[1]).sum()
    assert np.isclose(losses[1], -np.log(np.exp(1.5) / reached), atol=1e-5)
