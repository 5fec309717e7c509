"""The search for settings, on a log of a few events: what it keeps, and when nothing beats the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_store.errors import TrainingError
from model_store.sequences import EventTable
from model_store.training_settings import TrainingSettings, read_settings
from model_store.tuning import SEARCH_SPACE, Search, Tuned, settings_text
from producers.events import Event, EventType

START_MS = 1_700_000_000_000
SMALL = TrainingSettings(window_size=6, units=32, item_dimensions=32, most_epochs=1, batch_events=64)


def table(users: int = 12) -> EventTable:
    return EventTable.from_events(
        Event(
            event_id=f"{user}-{place}",
            user_id=f"user {user}",
            event_type=EventType.VIEW,
            event_time_ms=START_MS + (user * 4 + place) * 60_000,
            item_id="abcd"[(user + place) % 4],
        )
        for user in range(users)
        for place in range(4)
    )


def ignore(_ended: int, _share: float, _note: str) -> None:
    """Nobody watches."""


def test_the_first_trial_takes_the_defaults_and_a_search_goes_on_from_its_file(tmp_path: Path) -> None:
    log, path = table(), tmp_path / "trials.jsonl"
    first = Search(log, SMALL, path, tmp_path)
    first.begin()
    first.take_part(1, ignore)
    tuned = first.tuned()
    assert (tuned.complete, tuned.best_trial) == (1, 0)
    assert tuned.best_loss == tuned.default_loss is not None
    assert tuned.found == {each.name: getattr(SMALL, each.name) for each in SEARCH_SPACE}
    assert not tuned.gains

    again = Search(log, SMALL, path, tmp_path)
    again.begin()
    again.take_part(2, ignore)
    assert again.ended() == 2
    assert again.tuned().default_loss == tuned.default_loss

    with pytest.raises(TrainingError, match="another log"):
        Search(table(users=13), SMALL, path, tmp_path).begin()


def test_an_interrupted_trial_is_given_up_and_tried_again(tmp_path: Path) -> None:
    log, path = table(), tmp_path / "trials.jsonl"

    def interrupt(_ended: int, _share: float, _note: str) -> None:
        raise KeyboardInterrupt

    search = Search(log, SMALL, path, tmp_path)
    search.begin()
    with pytest.raises(KeyboardInterrupt):
        search.take_part(1, interrupt)
    assert search.ended() == 0
    assert search.tuned() == Tuned(None, None, None, {}, 0, 0)

    again = Search(log, SMALL, path, tmp_path)
    again.begin()
    again.take_part(1, ignore)
    assert again.tuned().default_loss is not None


@pytest.mark.parametrize(
    ("default", "best", "gains"),
    [(5.0, 4.98, True), (5.0, 4.995, False), (5.0, 5.0, False), (None, 4.0, False)],
)
def test_only_a_gain_of_over_a_fifth_of_a_per_cent_counts(
    default: float | None, best: float, gains: bool
) -> None:
    assert Tuned(default, best, 3, {}, 4, 0).gains is gains


def test_what_is_written_is_read(tmp_path: Path) -> None:
    found = {"learning_rate": 0.0123, "units": 48, "dropout": 0.5}
    path = tmp_path / "tuned.toml"
    path.write_text(settings_text(found))
    assert read_settings(path) == found


@pytest.mark.parametrize(
    "text", ["units = 0", "units = 1.5", "dropout = 1.0", "seed = 1", "units = true", "?"]
)
def test_a_settings_file_without_sense_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "tuned.toml"
    path.write_text(text)
    with pytest.raises(TrainingError, match=r"tuned\.toml"):
        read_settings(path)
