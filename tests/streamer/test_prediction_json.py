"""The compiled writer of predictions against msgspec, which writes the same types one by one."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model_store.kernels.text import json_strings
from streamer.prediction_json import Answers, Told, layout_of, tail_of, written
from streamer.predictions import (
    Churn,
    ModelVersion,
    NextItem,
    Prediction,
    decode_prediction,
    encode_prediction,
)
from streamer.records import SourcePartition
from streamer.rendered import Predictions

MODEL = ModelVersion('gr"u', "0001-ä")
SOURCES = (SourcePartition("topic", 0), SourcePartition('to"pic', 17))
ACTIONS = ("view", "cart", "none")
CATALOGUE = ["", "hat", 'h"a\\t', "ﻃ 😀", "\n"]
HORIZON_MS = 604_800_000
SCORED_AT_MS = 1_700_000_000_123

ids = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
times = st.integers(0, 2**48)
probabilities = st.floats(0, 1, width=32)
scores = st.floats(-1e6, 1e6, width=32)
next_items = st.lists(st.tuples(st.sampled_from(CATALOGUE[1:]) | ids, scores), max_size=4)


def rounded(value: float) -> float:
    return float(np.round(np.float64(value), 6))


@st.composite
def predictions(draw: st.DrawFn, *, heads: bool) -> Prediction:
    alert = st.none() | times
    return Prediction(
        prediction_id=draw(st.sampled_from(SOURCES)).record_id(draw(times)),
        user_id=draw(ids),
        event_id=draw(ids),
        event_time_ms=draw(times),
        scored_at_ms=SCORED_AT_MS,
        model=MODEL,
        next_action={name: rounded(draw(probabilities)) for name in ACTIONS} if heads else None,
        churn=Churn(rounded(draw(probabilities)), HORIZON_MS, draw(alert)) if heads else None,
        next_items=[NextItem(item, rounded(score)) for item, score in draw(next_items)] if heads else None,
        state=draw(st.sampled_from(["complete", "partial"])),
        flags=draw(st.none() | st.lists(ids, max_size=2).map(tuple)),
        purchase_in_session=rounded(draw(probabilities)) if heads else None,
    )


def in_one_pass(batch: list[Prediction], *, heads: bool) -> list[bytes]:
    tails = [tail_of(partial=one.state == "partial", flags=one.flags) for one in batch]
    sources = [next(s for s in SOURCES if one.prediction_id.startswith(s.record_id_prefix)) for one in batch]
    told = Told(
        np.array([int(one.prediction_id.rsplit("-", 1)[1]) for one in batch], np.int64),
        np.array([one.event_time_ms for one in batch], np.int64),
        np.array([SOURCES.index(source) for source in sources], np.int64),
        np.arange(len(batch)),
        json_strings([text for one in batch for text in (one.user_id, one.event_id)]),
    )
    width = max((len(one.next_items or ()) for one in batch), default=0)
    width = max(width, 1) if heads else 0
    items, score = np.zeros((len(batch), width), np.int64), np.full((len(batch), width), -np.inf)
    others: list[str] = []
    for row, one in enumerate(batch):
        for place, item in enumerate(one.next_items or ()):
            score[row, place] = item.score
            if item.item_id in CATALOGUE[1:]:
                items[row, place] = CATALOGUE.index(item.item_id)
            else:
                others.append(item.item_id)
                items[row, place] = -len(others)
    some = len(batch) if heads else 0
    answers = Answers(
        np.array([list((one.next_action or {}).values()) for one in batch], np.float64).reshape(
            len(batch), len(ACTIONS) if heads else 0
        ),
        np.array([one.churn.probability for one in batch if one.churn], np.float64).reshape(some),
        np.array(
            [-1 if one.churn.alert_at_ms is None else one.churn.alert_at_ms for one in batch if one.churn],
            np.int64,
        ).reshape(some),
        items,
        score,
        np.array([one.purchase_in_session for one in batch if heads], np.float64),
    )
    layout = layout_of(MODEL, HORIZON_MS, ACTIONS, SOURCES, tuple(tails))
    values = written(layout, SCORED_AT_MS, told, answers, json_strings(CATALOGUE), json_strings(others))
    return [value for _, value in Predictions([b""] * len(batch), values)]


@pytest.mark.parametrize("heads", [True, False])
@given(data=st.data())
def test_what_is_written_is_read_as_what_msgspec_writes(data: st.DataObject, heads: bool) -> None:
    batch = data.draw(st.lists(predictions(heads=heads), min_size=1, max_size=4))
    values = in_one_pass(batch, heads=heads)
    assert [decode_prediction(value) for value in values] == batch
    for value, one in zip(values, batch, strict=True):
        assert list(msgspec.json.decode(value)) == list(msgspec.json.decode(encode_prediction(one)))


@given(st.floats(width=32) | st.floats(-9e12, 9e12))
def test_a_number_has_six_decimals(value: float) -> None:
    if math.isfinite(value) and abs(value) > 9e12:
        return
    one = Prediction(
        prediction_id="topic-0-1",
        user_id="u",
        event_id="e",
        event_time_ms=1,
        scored_at_ms=SCORED_AT_MS,
        model=MODEL,
        next_action=dict.fromkeys(ACTIONS, 0.0),
        churn=Churn(0.5, HORIZON_MS),
        next_items=[NextItem("hat", value)],
        purchase_in_session=1e-6,
    )
    (written_value,) = in_one_pass([one], heads=True)
    score = msgspec.json.decode(written_value)["next_items"][0]["score"]
    assert score == (rounded(value) if math.isfinite(value) else None)
    assert b'"purchase_in_session":0.000001' in written_value
