"""The committed schemas are those of the types, and say of a record what the decoder says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from jsonschema import Draft202012Validator

from foreclick.cli import main
from foreclick.schemas import documents, text_of
from producers.events import Event, EventRejected, decode_value, encode_event
from streamer.predictions import (
    Churn,
    ModelVersion,
    NextItem,
    Prediction,
    decode_prediction,
    encode_prediction,
)
from tests.test_events import GOOD, MALFORMED, RECORD_MS, events, patient

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
EVENT = Draft202012Validator(documents()["event.schema.json"])
PREDICTION = Draft202012Validator(documents()["prediction.schema.json"])


@pytest.mark.parametrize("name", documents())
def test_the_committed_documents_are_those_of_the_types(name: str) -> None:
    committed = (SCHEMAS / name).read_text(encoding="utf-8")
    assert committed == text_of(documents()[name]), "run `foreclick schema --out docs/schemas`"


def test_the_schemas_are_schemas() -> None:
    Draft202012Validator.check_schema(documents()["event.schema.json"])
    Draft202012Validator.check_schema(documents()["prediction.schema.json"])


@patient
@given(events)
def test_every_event_fits_the_schema(event: Event) -> None:
    EVENT.validate(json.loads(encode_event(event)))


def field_faults() -> list[tuple[str, dict[str, Any]]]:
    """Objects that the decoder refuses for one of their fields, whatever the record around them."""
    return [
        (name, json.loads(value or b""))
        for name, value, _, reason in MALFORMED
        if reason.startswith(Event.__struct_fields__) and reason != "event_time_in_future"
    ]


@pytest.mark.parametrize(
    ("name", "fields"), field_faults(), ids=lambda each: each if isinstance(each, str) else ""
)
def test_what_the_decoder_refuses_for_a_field_the_schema_refuses(name: str, fields: dict[str, Any]) -> None:
    with pytest.raises(EventRejected):
        decode_value(json.dumps(fields).encode(), RECORD_MS)
    # JSON Schema has one kind of number: to it a whole float is an integer.
    assert EVENT.is_valid(fields) == (name == "time as a whole float")


def test_only_a_search_may_lack_an_item() -> None:
    search = {**GOOD, "event_type": "search"}
    del search["item_id"]
    assert EVENT.is_valid(search)
    assert EVENT.is_valid({**search, "item_id": None})
    assert not EVENT.is_valid({**search, "event_type": "view"})


def test_a_prediction_fits_its_schema_and_comes_back() -> None:
    prediction = Prediction(
        prediction_id="topic-0-1",
        user_id="u",
        event_id="e",
        event_time_ms=RECORD_MS,
        scored_at_ms=RECORD_MS,
        model=ModelVersion("gru", "1"),
        next_action={"view": 0.75, "none": 0.25},
        churn=Churn(0.5, 86_400_000, None),
        next_items=[NextItem("i", 1.5)],
    )
    value = json.loads(encode_prediction(prediction))
    PREDICTION.validate(value)
    assert decode_prediction(encode_prediction(prediction)) == prediction
    assert not PREDICTION.is_valid({**value, "next_action": {"view": 1.5}})
    assert not PREDICTION.is_valid({**value, "state": "half"})


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = documents()["asyncapi.json"]

    def references(node: Any) -> list[str]:
        if isinstance(node, list):
            return [each for child in node for each in references(child)]
        if not isinstance(node, dict):
            return []
        own = [node["$ref"]] if "$ref" in node else []
        return own + [each for child in node.values() for each in references(child)]

    assert len(references(document)) > 10
    for reference in references(document):
        place: Any = document
        for name in reference.removeprefix("#/").split("/"):
            place = place[name]
    addresses = [channel["address"] for channel in document["channels"].values()]
    assert addresses == ["clickstream.events", "clickstream.predictions", "clickstream.dead-letters"]


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["schema", *words])
    return int(ended.value.code or 0)


def test_documents_are_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--out", str(tmp_path / "new")) == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(documents())
    assert run("event.schema.json") == 0
    assert json.loads(capsys.readouterr().out) == documents()["event.schema.json"]
    assert run() == 0
    assert capsys.readouterr().out.split() == [*documents()]
    assert run("no.json") == 1
    assert "event.schema.json" in capsys.readouterr().err
