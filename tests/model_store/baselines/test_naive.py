"""The naive example and its file."""

from pathlib import Path

import numpy as np
import pytest

from model_store.baselines.behavior import Behavior, read_behavior, write_behavior
from model_store.baselines.naive import train_naive_example
from model_store.errors import TrainingError
from producers.events import EventType
from tests.model_store.evaluating.logs import event, table


def test_a_row_is_an_event_in_order_of_time(tmp_path: Path) -> None:
    log = table(
        event("ada", 0),
        event("bob", 1, EventType.SEARCH, None),
        event("ada", 2, EventType.PURCHASE),
        event("bob", 3, EventType.CART),
        event("bob", 4),
        event("ada", 90),  # another session, which the purchase does not lead to
    )
    path = tmp_path / "user_behavior.csv"
    write_behavior(path, Behavior.of(log))
    assert path.read_text().split() == [
        "purchase,browse,next_browse",
        "0,1,0",  # ada looks, and buys next
        "0,1,0",  # bob searches, and puts into the cart next
        "1,0,0",
        "0,0,1",
        "0,1,0",
        "0,1,0",
    ]
    assert [column.tolist() for column in read_behavior(path)] == [
        [0, 0, 1, 0, 0, 0],
        [1, 1, 0, 0, 1, 1],
        [0, 0, 0, 1, 0, 0],
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("purchase,browse\n1,0\n", "columns"),
        ("purchase,browse,next_browse\n", "rows"),
        ("purchase,browse,next_browse\n1,0,yes\n", "0 or 1"),
        ("purchase,browse,next_browse\n1,0,7\n", "0 and 1"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    path = tmp_path / "other.csv"
    path.write_text(text)
    with pytest.raises(TrainingError, match=complaint):
        read_behavior(path)


def test_it_learns_what_one_row_says_of_the_next() -> None:
    browse = np.tile([1, 1, 1, 0], 100).astype(np.uint8)
    epochs = []
    example = train_naive_example(
        Behavior(np.zeros(400, np.uint8), browse, browse), lambda epoch, _: epochs.append(epoch), epochs=12
    )
    assert epochs == list(range(1, 13))
    assert example.validation_accuracy == 1.0
    found = example.probabilities(np.zeros(2, np.uint8), np.array([0, 1], np.uint8))
    assert found[0] < 0.5 < found[1]


def test_one_row_is_refused() -> None:
    one = np.ones(1, np.uint8)
    with pytest.raises(TrainingError, match="two rows"):
        train_naive_example(Behavior(one, one, one), lambda _epoch, _accuracy: None)
