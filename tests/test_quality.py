"""The quality benchmark's pairs and ranks, against windows run whole and lists written by hand."""

import numpy as np

from benchmarks.support.next_items import Pairs, baseline_ranks, knn_ranks, model_ranks
from model_store.baselines import Markov, Popular
from model_store.lookback import lookback_of_windows
from model_store.own_items import OWN_RANKS, own_items, own_logits
from model_store.recompute import states_of_windows
from model_store.sequences import EventTable
from model_store.serving import ServedModel
from model_store.windows import inserted, rows_of
from tests.model_store.session_tables import sessions
from tests.streamer.models import random_model


def silent(share: float) -> None:
    assert 0 < share <= 1


def rank_in_whole_windows(model: ServedModel, line: list[str], place: int, table: EventTable) -> int:
    """Return the rank of what follows ``place``, by its window run from zero and the cosines of all items."""
    window = b""
    for row in table.rows[: place + 1]:
        window, _, _ = inserted(window, row.tobytes(), model.window_size)
    inputs = model.encoder.encode_window(rows_of(window))
    last = inputs.take(np.array([len(inputs.item) - 1]))
    heads = model.heads(states_of_windows(model, [window]), last)
    assert heads.query is not None
    assert heads.own is not None
    own = own_logits(heads.own, own_items(lookback_of_windows([window])[1]))[0]
    kept = line[place + 1 - len(rows_of(window)) : place + 1]
    newest_first = list(dict.fromkeys(reversed(kept)))
    logits = dict(
        zip(model.encoder.items, (14.0 * model._ranking._vectors @ heads.query[0]).tolist(), strict=True)
    )
    del logits[""]
    for rank, (item, logit) in enumerate(zip(newest_first, own.tolist(), strict=False)):
        offset = model._ranking._offsets[min(rank, OWN_RANKS - 1)]
        logits[item] = np.logaddexp(logits.get(item, -np.inf), logit) + offset
    names = sorted(logits, key=lambda item: -logits[item])[:20]
    return names.index(line[place + 1]) + 1 if line[place + 1] in names else 0


def test_every_event_but_a_sessions_last_is_a_pair() -> None:
    pairs = Pairs.of(sessions("a b a", "c", "d d"))
    assert len(pairs) == 3
    assert pairs.asked.tolist() == [True, True, False, False, True, False]
    assert pairs.session.tolist() == [0, 0, 0, 1, 2, 2]


def test_the_model_is_asked_as_a_worker_asks_it() -> None:
    model = random_model(window_size=4)
    drawn = np.random.default_rng(0).integers(0, 45, (3, 11))  # items 40 to 44 are unknown to the model
    lines = [[f"item-{item}" for item in row] for row in drawn.tolist()]
    lines[1] = lines[1][:5]
    expected = [
        rank_in_whole_windows(model, line, place, sessions(" ".join(line)))
        for line in lines
        for place in range(len(line) - 1)
    ]
    # the times of one session stand a second apart, whatever stands before it
    found = model_ranks(model, Pairs.of(sessions(*(" ".join(line) for line in lines))), silent)
    assert any(expected)
    assert 0 in expected
    assert found.tolist() == expected


def test_baselines_learn_the_training_sessions_only() -> None:
    training, asked = Pairs.of(sessions("a b", "a b", "a c")), Pairs.of(sessions("a c d"))
    # b followed twice, c once, d never
    assert baseline_ranks(Popular(7), training, asked, silent).tolist() == [2, 0]
    assert baseline_ranks(Markov(7, 2), training, asked, silent).tolist() == [2, 0]


def test_session_knn_sees_the_session_so_far() -> None:
    training = Pairs.of(sessions("a b", "b q", "c d", "c e", "c d"))
    # Nothing is known of x. After x a, one session counts: a, held by 1 of 5, is before b, held by 2.
    # After c, d scores 2 log(5 / 2) = 1.83, e log 5 = 1.61 and c 3 log(5 / 3) = 1.53.
    assert knn_ranks(training, Pairs.of(sessions("x a b", "c d")), silent).tolist() == [0, 2, 1]
