"""The companion: its arithmetic and its file, and when a fitted one counts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from foreclick.checking.action_companion import ActionPool
from model_store.companion import COMPANION_FILE, Companion, Perceptron, read_by
from model_store.companion_experts import Scale, linear_fit, perceptron_fit, pooled
from model_store.companion_fit import chosen, fit_companion
from model_store.companion_questions import Question, known_behind
from model_store.encoder import Inputs
from model_store.errors import FileCorruptError
from model_store.evaluating.served import served_steps
from model_store.features.table import companion_features
from model_store.parts import Part, part_between
from model_store.sequences import EventTable
from model_store.serving import ServedModel
from model_store.windows import pack_row, rows_of
from producers.events import Event, EventType
from tests.model_store.evaluating.logs import event
from tests.streamer.models import random_model

NETWORK = np.array([[0.5, 0.25, 0.25], [0.9, 0.1, 0.0]], np.float32)
KINDS = (EventType.VIEW, EventType.CART, EventType.VIEW, EventType.PURCHASE)
EXTRA = np.array([[0.5], [3.0]], np.float32)
INPUTS = Inputs(
    item=np.zeros(2, np.int32),
    event_type=np.array([0, 4], np.int32),
    category=np.zeros(2, np.int32),
    numeric=np.array([[1.0, 2.0], [0.0, -1.0]], np.float32),
    extra=EXTRA,
)


def perceptron(outputs: int, read: int = 9) -> Perceptron:
    """Return one of five units that reads so many numbers, the types' six among them, drawn at random."""
    random = np.random.default_rng(outputs)
    shapes = ((read, outputs), (read, 5), (5,), (5, outputs), (outputs,))
    return Perceptron(*(random.normal(size=shape).astype(np.float32) for shape in shapes))


def test_probabilities_are_pooled_by_their_logarithms() -> None:
    one = perceptron(3)
    said = Companion(one, 0.3, perceptron(1), 0.0).next_action(NETWORK, INPUTS)
    for row in range(2):
        flags = [float(kind == INPUTS.event_type[row]) for kind in range(6)]
        read = np.array([*INPUTS.numeric[row], *EXTRA[row], *flags])
        hidden = np.maximum(read @ one.hidden_kernel + one.hidden_bias, 0)
        alone = np.exp(read @ one.direct + hidden @ one.kernel + one.bias)
        pool = (alone / alone.sum()) ** 0.3 * np.maximum(NETWORK[row], 1e-7) ** 0.7
        assert said[row] == pytest.approx(pool / pool.sum(), rel=1e-4)


def test_a_purchase_in_the_session_is_pooled_likewise() -> None:
    session = perceptron(1)
    alone = 1 / (1 + np.exp(-session(read_by(INPUTS), INPUTS.event_type)[:, 0]))
    said = Companion(perceptron(3), 0.0, session, 1.0).purchase_in_session(
        np.array([0.2, 1.0], np.float32), INPUTS
    )
    assert said == pytest.approx(alone, rel=1e-4)
    half = Companion(perceptron(3), 0.0, session, 0.5).purchase_in_session(
        np.array([0.2, 0.5], np.float32), INPUTS
    )
    odds = np.sqrt(np.array([0.25, 1.0]) * alone / (1 - alone))
    assert half == pytest.approx(odds / (1 + odds), rel=1e-4)


def test_a_share_of_nothing_leaves_the_network_alone() -> None:
    companion = Companion(perceptron(3), 0.0, perceptron(1), 0.0)
    assert companion.next_action(NETWORK, INPUTS) is NETWORK


def test_the_checker_pools_what_the_file_says_as_the_worker_does(tmp_path: Path) -> None:
    model = random_model(groups=("previous", "price", "gap"))
    encoder, width = model.encoder, model.encoder.numeric_features + 2 + 6
    assert Companion.load(tmp_path, encoder, 3) is None
    read = (INPUTS.event_type, read_by(INPUTS))
    assert ActionPool(tmp_path).pooled(NETWORK, *read) is NETWORK
    Companion(perceptron(3, width), 0.5, perceptron(1, width), 0.7, ("last_gaps",)).save(tmp_path)
    loaded = Companion.load(tmp_path, encoder, 3)
    assert loaded is not None
    assert (loaded.action_share, loaded.session_share) == (0.5, 0.7)
    assert [feature.name for feature in encoder.extra] == ["last_gaps"]
    inputs = replace(INPUTS, numeric=np.ones((2, width - 8), np.float32), extra=np.eye(2, dtype=np.float32))
    said = loaded.next_action(NETWORK, inputs)
    checked = ActionPool(tmp_path).pooled(NETWORK, inputs.event_type, read_by(inputs))
    assert np.abs(checked - said).max() < 1e-6
    assert np.abs(said - NETWORK).max() > 0.01
    with pytest.raises(FileCorruptError, match="another network"):
        Companion.load(tmp_path, random_model(groups=("previous",)).encoder, 3)
    (tmp_path / COMPANION_FILE).write_bytes(b"PK")
    with pytest.raises(FileCorruptError, match="train the model again"):
        Companion.load(tmp_path, encoder, 3)


def log(users: int) -> Part:
    """Let each user look, put into the cart, look, and buy, minutes apart."""
    events: list[Event] = [
        event(f"user {user}", user * 2 + place, kind)
        for user in range(users)
        for place, kind in enumerate(KINDS)
    ]
    return part_between(EventTable.from_events(events), 0.0, 1.0, timed=True)


def seen_behind_a_cart(model: ServedModel) -> Inputs:
    """Return what is known behind a window of a view and a cart."""
    window = b"".join(pack_row(event("user", place, kind)) for place, kind in enumerate(KINDS[:2]))
    return model.encoder.encode_window(rows_of([window])).take(np.array([1]))


def test_it_counts_where_the_network_knows_less() -> None:
    model, seen = random_model(), log(300)
    fitted = fit_companion(model, seen, log(150), model.encoder, seen)
    assert fitted is not None
    assert fitted.published.action_share > 0.9
    inputs = seen_behind_a_cart(model)
    for companion in fitted:
        said = companion.next_action(np.full((1, 7), 1 / 7, np.float32), inputs)
        assert said[0].argmax() == model.action_names.index("view")
    assert fitted.published.purchase_in_session(np.array([0.5], np.float32), inputs)[0] > 0.9


def test_it_counts_nothing_where_the_network_knows_all() -> None:
    """The truth is a coin's, and the network says how it lies."""
    random = np.random.default_rng(0)
    truth = random.integers(0, 2, 2_000)
    question = Question(random.normal(size=(2_000, 3)), truth, np.arange(2_000), 2)
    halves = (question.where(np.arange(2_000) < 1_000), question.where(np.arange(2_000) >= 1_000))
    knows = np.where(truth[1_000:] == 1, 4.0, -4.0)[:, None]
    assert chosen([halves], knows).share == 0
    assert chosen([halves], np.zeros((1_000, 1))).share >= 0
    told = question._replace(known=question.known + 3 * truth[:, None])
    halves = (told.where(np.arange(2_000) < 1_000), told.where(np.arange(2_000) >= 1_000))
    assert chosen([halves], np.zeros((1_000, 1))).share == 1


def test_a_network_that_few_events_judge_gets_a_third() -> None:
    seen, model = log(60), random_model()
    fitted = fit_companion(model, seen, log(10), model.encoder, seen)
    assert fitted is not None
    assert fitted.published.action_share == pytest.approx(2 / 3)


def test_a_fitting_part_without_a_label_gives_the_searched_network_none() -> None:
    """So it is with the first 17 minutes of REES46: nobody knows what comes within half an hour."""
    seen, model = log(60), random_model()
    early = replace(seen, until_ms=int(seen.table.times_ms.min()) + 60_000)
    fitted = fit_companion(model, early, early, model.encoder, seen)
    assert fitted is not None
    assert fitted.published.action_share == pytest.approx(2 / 3)
    assert fitted.searched.action_share == 0


def test_one_shopper_teaches_none() -> None:
    seen, model = log(1), random_model()
    assert fit_companion(model, seen, seen, model.encoder, seen) is None


def test_it_is_fitted_on_what_a_worker_reads() -> None:
    model = random_model(groups=("counts", "session", "gap"))
    kinds = np.random.default_rng(1).choice([EventType.VIEW, EventType.CART, EventType.PURCHASE], 40)
    events = [event(f"user {place % 3 // 2}", place, EventType(kind)) for place, kind in enumerate(kinds)]
    part = part_between(EventTable.from_events(events), 0.0, 1.0, timed=True)
    model.encoder.tell_extra(companion_features(model.encoder.features, model.encoder.statistics))
    known = known_behind(model.encoder, part, model.window_size)
    for step in served_steps(model, part.table):
        np.testing.assert_array_equal(known[step.events, :-6], read_by(step.inputs))


@pytest.mark.parametrize(("classes", "outputs"), [(2, 1), (3, 3)])
def test_the_published_arrays_read_raw_numbers(classes: int, outputs: int) -> None:
    random = np.random.default_rng(3)
    known = random.normal(5.0, 3.0, (200, 4))
    known[:, 3] = 7.0  # which never changes, and so says nothing
    truth = random.integers(0, classes, 200)
    scale = Scale.of(known)
    linear = linear_fit(scale.values(known), truth, classes, 10.0)
    bent = perceptron_fit(scale.values(known), truth, classes, 1.0, 2)
    whole = pooled(scale, linear, bent, 0.25)
    plain = linear(scale.values(known))
    plain = plain if outputs > 1 else plain[:, 1:] - plain[:, :1]
    hidden = np.maximum(scale.values(known) @ bent.hidden_kernel + bent.hidden_bias, 0)
    wanted = 0.75 * plain + 0.25 * (hidden @ bent.kernel + bent.bias)
    types = np.zeros(200, np.int32)
    padded = Perceptron(*(np.pad(whole[0], ((0, 6), (0, 0))), np.pad(whole[1], ((0, 6), (0, 0))), *whole[2:]))
    assert padded(known.astype(np.float32), types) == pytest.approx(wanted, abs=1e-4)


def test_a_long_log_teaches_one_wide_perceptron() -> None:
    """The truth is a coin's whose bias is the product of two numbers; nobody can say more than it."""
    random = np.random.default_rng(5)
    known = random.normal(size=(60_000, 3)).astype(np.float32)
    true_logit = 2 * known[:, 0].astype(float) * known[:, 1]
    bias = 1 / (1 + np.exp(-true_logit))
    truth = (random.random(60_000) < bias).astype(np.int64)
    bent = perceptron_fit(known, truth, 2, 0.3, 3)
    assert bent.hidden_kernel.shape == (3, 72)
    logit = (np.maximum(known @ bent.hidden_kernel + bent.hidden_bias, 0) @ bent.kernel + bent.bias)[:, 0]
    cross_entropy = np.mean(np.logaddexp(0, logit) - bias * logit)
    entropy = np.mean(np.logaddexp(0, true_logit) - bias * true_logit)
    assert cross_entropy < 1.01 * entropy
    few = perceptron_fit(known[:500], truth[:500], 2, 0.3, 2)
    assert few.hidden_kernel.shape == (3, 48)


def test_some_of_a_question_are_whole_users() -> None:
    user = np.repeat(np.arange(0, 300, 3), 7)
    question = Question(np.arange(1_400.0).reshape(700, 2), np.arange(700) % 3, user, 3)
    assert question.some(700) is question
    some = question.some(200)
    assert 150 <= len(some.truth) <= 200
    chosen_users = set(some.user.tolist())
    kept = np.array([one in chosen_users for one in user.tolist()])
    np.testing.assert_array_equal(some.known, question.known[kept])
    np.testing.assert_array_equal(some.truth, question.truth[kept])
