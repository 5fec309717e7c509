from __future__ import annotations

import pytest

from foreclick.checking.predictions import SeenChurn, SeenItem, SeenModel, SeenPrediction
from foreclick.demo.words import in_words, span_in_words

PREDICTION = SeenPrediction(
    prediction_id="t-0-1",
    user_id="ada@example.org",
    event_id="a",
    event_time_ms=1,
    scored_at_ms=2,
    model=SeenModel("gru", "1"),
    next_action={"none": 0.3, "view": 0.63, "cart": 0.07},
    churn=SeenChurn(0.41, 7 * 86_400_000),
    next_items=[SeenItem("kettle", 2.0), SeenItem("toaster", 1.0)],
)


def test_a_prediction_says_what_who_and_how_likely() -> None:
    words = in_words(PREDICTION)

    assert "will probably view next (63 %)" in words
    assert "likely items kettle, toaster" in words
    assert "stays away for 7 d: 41 %" in words


def test_a_shopper_goes_by_a_short_hash() -> None:
    assert "ada" not in in_words(PREDICTION)
    # the first four hexadecimal digits that `printf ada@example.org | sha256sum` prints
    assert in_words(PREDICTION).startswith("shopper cfe0…")


@pytest.mark.parametrize(
    ("span_ms", "words"),
    [(7 * 86_400_000, "7 d"), (86_400_000, "24 h"), (1_800_000, "30 min"), (5_400_000, "1.5 h")],
)
def test_spans_stay_readable(span_ms: int, words: str) -> None:
    assert span_in_words(span_ms) == words
