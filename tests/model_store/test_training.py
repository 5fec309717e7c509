"""Whole training runs on logs that are small enough to know what they teach."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from model_store.artifacts import ModelStore
from model_store.checkpoint import Course, EpochReport
from model_store.errors import TrainingError
from model_store.evaluation import MODEL
from model_store.sequences import EventTable
from model_store.serving import load_served_model
from model_store.specification import KERAS_FILE
from model_store.training import TrainedModel, split_settings, train, validation_share
from model_store.training_settings import TrainingSettings, default_training_settings
from model_store.windows import EVENT_ROW
from producers.events import Event, EventType

START_MS = 1_700_000_000_000
MINUTE_MS = 60_000
SMALL = TrainingSettings(window_size=6, units=8, item_dimensions=8, most_epochs=2, batch_events=64)


def event(user: int, minute: float, item: str | None, kind: EventType = EventType.VIEW) -> Event:
    return Event(
        event_id=f"{user}-{minute}",
        user_id=f"user {user}",
        event_type=kind,
        event_time_ms=START_MS + int(minute * MINUTE_MS),
        item_id=item,
    )


def round_trips(users: int) -> list[Event]:
    """Make each user look at a, b, c, d in turn, from any of them on; every d is bought."""
    items = "abcd"
    events = []
    for user in range(users):
        for place in range(5):
            item = items[(user + place) % 4]
            kind = EventType.PURCHASE if item == "d" else EventType.VIEW
            events.append(event(user, user * 5 + place, item, kind))
    return events


class Silent:
    """Progress that nobody watches, and that may stop the run after an epoch."""

    def __init__(self, stop_after: int | None = None) -> None:
        self.reports: list[EpochReport] = []
        self._stop_after = stop_after

    def batch(self, stage: str, epoch: int, most_epochs: int, share_done: float) -> None:  # noqa: ARG002
        assert 0 < share_done <= 1

    def epoch(self, report: EpochReport) -> None:
        self.reports.append(report)
        if len(self.reports) == self._stop_after:
            raise KeyboardInterrupt


def trained(events: list[Event], settings: TrainingSettings, place: Path, **options: bool) -> TrainedModel:
    return train(
        events, settings, ModelStore(place / "models"), "gru", Silent(), work_directory=place, **options
    )


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainedModel]:
    place = tmp_path_factory.mktemp("learned")
    settings = TrainingSettings(
        window_size=6, units=16, item_dimensions=16, most_epochs=25, learning_rate=0.01, train_until=0.8
    )
    return place, trained(round_trips(150), settings, place)


def test_a_pattern_is_learned(learned: tuple[Path, TrainedModel]) -> None:
    _, model = learned
    assert model.comparison.test is not None
    scores = model.comparison.test[MODEL]
    assert scores.next_item_recall_at_20 == 1.0
    assert scores.next_action_accuracy is not None
    assert scores.next_action_accuracy > 0.95
    assert (
        model.comparison.test.keys() == model.comparison.validation.keys() > {"popular", "repeat", "markov"}
    )


def test_the_published_model_serves_what_it_learned(learned: tuple[Path, TrainedModel]) -> None:
    place, model = learned
    served = load_served_model(ModelStore(place / "models"), model.name, model.version)
    table = EventTable.from_events([event(1, 0, "b"), event(1, 1, "c")])
    inputs = served.encoder.encode_window(table.rows)
    state = served.zero_state(1)
    for step in range(2):
        now = inputs.take(np.array([step]))
        state = served.step(state, now)
    heads = served.heads(state, now)
    assert heads.query is not None
    best, _ = served.next_items(heads.query, 1)
    assert served.encoder.items[best[0, 0]] == "d"
    assert heads.next_action is not None
    assert served.action_names[int(heads.next_action[0].argmax())] == "purchase"


def test_what_stands_behind_a_window_changes_nothing(learned: tuple[Path, TrainedModel]) -> None:
    _, model = learned
    network = tf.keras.models.load_model(model.directory / KERAS_FILE)
    generator = np.random.default_rng(0)

    def padded(filling: int) -> dict[str, np.ndarray]:
        width = [(0, 0), (0, 3)]
        indices = {name: values for name, values in window.items() if name != "numeric"}
        filled = {name: np.pad(values, width, constant_values=filling) for name, values in indices.items()}
        filled["category"] = np.pad(window["category"], width)  # the log has none but the unknown one
        filled["numeric"] = np.pad(window["numeric"], [*width, (0, 0)], constant_values=filling)
        return filled

    window = {name: generator.integers(0, 2, (2, 4)).astype(np.int32) for name in ("item", "event_type")}
    window["category"] = np.zeros((2, 4), np.int32)
    window["numeric"] = generator.normal(size=(2, 4, network.input["numeric"].shape[-1])).astype(np.float32)
    alone, zeros, ones = network(window), network(padded(0)), network(padded(1))
    for name, values in alone.items():
        for longer in (zeros, ones):
            assert longer[name][:, :4].numpy() == pytest.approx(values.numpy(), abs=1e-6)
    assert alone["next_action"].numpy().sum(axis=-1) == pytest.approx(np.ones((2, 4)), abs=1e-5)
    assert np.linalg.norm(alone["query"], axis=-1) == pytest.approx(np.ones((2, 4)), abs=1e-5)


def weights_of(model: TrainedModel) -> dict[str, np.ndarray]:
    with np.load(model.directory / "weights.npz") as archive:
        return {name: archive[name] for name in archive.files}


def test_a_run_that_was_stopped_goes_on_to_the_same_model(tmp_path: Path) -> None:
    events = round_trips(30)
    whole = weights_of(trained(events, SMALL, tmp_path / "whole"))
    for stop_after in (1, 3):  # in the search, and in the refit
        place = tmp_path / f"stopped after {stop_after}"
        store = ModelStore(place / "models")
        with pytest.raises(KeyboardInterrupt):
            train(events, SMALL, store, "gru", Silent(stop_after), work_directory=place)
        assert store.models() == []
        resumed = weights_of(trained(events, SMALL, place, resume=True))
        for name, values in whole.items():
            assert resumed[name] == pytest.approx(values, abs=1e-6)


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path / "models")
    with pytest.raises(KeyboardInterrupt):
        train(round_trips(30), SMALL, store, "gru", Silent(1), work_directory=tmp_path)
    with pytest.raises(TrainingError, match="another log"):
        trained(round_trips(31), SMALL, tmp_path, resume=True)


@pytest.mark.parametrize(
    "events",
    [[], [event(0, 0, "a")], [event(0, 0, "a")] * 500, [event(0, minute, "a") for minute in range(15)]],
    ids=["nothing", "one row", "one row many times", "too few"],
)
def test_a_log_that_teaches_nothing_is_refused(tmp_path: Path, events: list[Event]) -> None:
    with pytest.raises(TrainingError):
        trained(events, SMALL, tmp_path)


@pytest.mark.parametrize(
    "events",
    [
        [event(0, minute, "a") for minute in range(60)],
        [event(0, minute, None, EventType.SEARCH) for minute in range(60)],
        [event(minute, 0.001 * minute, f"{minute}") for minute in range(60)],
        [event(minute % 6, minute, "abcd"[minute % 4]) for minute in range(90)],
        [event(minute % 6, 0.1 * minute, "abcd"[minute % 4]) for minute in range(60)],
    ],
    ids=["one user, one item", "searches only", "nobody comes twice", "views only", "no known end"],
)
def test_a_dull_log_gives_a_finite_model(tmp_path: Path, events: list[Event]) -> None:
    weights = weights_of(trained(events, replace(SMALL, refit=False), tmp_path))
    assert all(np.isfinite(values).all() for values in weights.values())


def test_the_order_of_the_lines_changes_nothing() -> None:
    events = round_trips(20)
    forward, backward = (
        split_settings(EventTable.from_events(each), SMALL) for each in (events, events[::-1])
    )
    for ahead, behind in zip(forward[:3], backward[:3], strict=True):
        assert sorted(row.tobytes() for row in ahead.table.rows) == sorted(
            row.tobytes() for row in behind.table.rows
        )
        assert ahead.until_ms == behind.until_ms


def test_without_times_there_is_no_hazard(tmp_path: Path) -> None:
    settings = TrainingSettings(
        window_size=6, units=8, item_dimensions=8, most_epochs=1, timed=False, refit=False
    )
    model = trained(round_trips(30), settings, tmp_path)
    served = load_served_model(ModelStore(tmp_path / "models"), model.name, model.version)
    assert served.survival is None
    assert "hazard_kernel" not in weights_of(model)


def report(epoch: int, loss: float, rate: float) -> EpochReport:
    from model_store.losses import Losses
    from model_store.validation import Measured

    measured = Measured(Losses(loss, 0.0, 0.0), recall_at_20=0.0, mrr_at_20=0.0)
    return EpochReport("search", epoch, rate, training_loss=0.0, validation=measured, seconds=0.0)


def test_a_course_cuts_the_rate_after_each_epoch_that_gains_nothing() -> None:
    course = Course("search", learning_rate=1.0)
    for loss in (5.0, 4.0, 4.5, 3.0, 3.5, 2.999):
        course = course.after(report(course.epoch, loss, course.learning_rate))
    assert course.best_epoch == 6  # the best, but by too little
    assert course.since_gain == 2
    assert course.learning_rates() == pytest.approx([1.0, 1.0, 1.0, 0.3, 0.3, 0.09])
    assert course.learning_rate == pytest.approx(0.027)


def test_a_course_may_cut_the_rate_while_it_still_gains() -> None:
    course = Course("search", learning_rate=1.0)
    for loss in (5.0, 4.0, 3.95, 3.5):
        course = course.after(report(course.epoch, loss, course.learning_rate), rate_cut_below=0.1)
    assert course.learning_rates() == pytest.approx([1.0, 1.0, 1.0, 0.3])  # 3.95 gained one in eighty
    assert course.since_gain == 0
    assert course.learning_rate == pytest.approx(0.3)


def test_defaults_depend_on_whether_a_log_has_times() -> None:
    timed = default_training_settings(window_size=20, timed=True)
    assert timed == TrainingSettings(window_size=20)
    assert timed.units == 64  # what a worker stores of each shopper depends on it
    assert [timed.action_weight_of(events) for events in (4_999, 5_000)] == [5.0, 20.0]
    ordered = default_training_settings(window_size=20, timed=False, units=32, item_dimensions=None)
    assert (ordered.units, ordered.item_dimensions, ordered.timed) == (32, 100, False)
    assert [ordered.action_weight_of(events) for events in (10, 1_000_000)] == [1.0, 1.0]
    with pytest.raises(TypeError, match="unit"):
        default_training_settings(window_size=20, timed=True, unit=32)


@pytest.mark.parametrize(("users", "share"), [(100, 0.15), (40_000, 0.1), (1_000_000, 0.02)])
def test_a_large_log_without_times_validates_on_a_smaller_share(users: int, share: float) -> None:
    table = EventTable(np.zeros(users, EVENT_ROW), np.arange(users), {}, {})
    assert validation_share(table, replace(SMALL, timed=False)) == pytest.approx(share)
    assert validation_share(table, replace(SMALL, timed=False, validation_share=0.3)) == 0.3
    assert validation_share(table, SMALL) == 0.15
