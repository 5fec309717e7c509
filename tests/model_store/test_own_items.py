"""The window's own items: against plain lists, against brute force, and TensorFlow against NumPy."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model_store.kernels.own_items import merge_own
from model_store.lookback import lookback_of_windows
from model_store.own_batch import OwnBatch, mixed_losses, own_batch_logits
from model_store.own_items import OWN_EVENTS, OWN_OUTPUTS, OWN_RANKS, own_items, own_logits
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
    own = own_items(lookback_of_windows([b"".join(map(pack_row, window)) for window in windows])[1])
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
            bought = any(one.item_id == item and one.event_type == "purchase" for one in read)
            assert own.purchased[row, rank] == bought


def test_a_logit_follows_its_equation_and_tensorflow_says_the_same() -> None:
    window = window_of([(item, EVENT_TYPES[at % 6], HOUR_MS) for at, item in enumerate("abcabdefghijkla")])
    packed = [b"".join(map(pack_row, window)), b"".join(map(pack_row, window[:2]))]
    own = own_items(lookback_of_windows(packed)[1])
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
    totals = dict(enumerate(random.normal(0, 5, catalogue).astype(np.float32).tolist(), 1))
    own = random.permutation(np.append(np.arange(1, catalogue + 1), -np.arange(1, unknown + 1)))[:6]
    others = sorted(totals.keys() - set(own.tolist()), key=lambda item: -totals[item])
    totals |= dict(zip(own.tolist(), random.normal(0, 5, len(own)).astype(np.float32).tolist(), strict=True))
    found, scores = np.zeros((1, k), np.int64), np.full((1, k), -np.inf, np.float32)
    for place, item in enumerate(others[:k]):
        found[0, place], scores[0, place] = item, totals[item]
    names = np.append(own, [0, 0])[None]
    logits = np.append([totals[item] for item in own.tolist()], [-np.inf, -np.inf]).astype(np.float32)[None]

    merge_own(names, logits, found, scores)

    wanted = sorted(totals, key=lambda item: -totals[item])[:k]
    assert [item for item in found[0].tolist() if item] == wanted
    assert scores[0][found[0] != 0].tolist() == [totals[item] for item in wanted]


def test_of_equal_ones_the_catalogues_stand_first_and_then_the_newer_own_one() -> None:
    found, scores = np.array([[3, 4, 0]]), np.array([[2.0, 1.0, -np.inf]], np.float32)
    merge_own(np.array([[7, -8]]), np.array([[2.0, 2.0]], np.float32), found, scores)
    assert found.tolist() == [[3, 7, -8]]


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
