"""Any CSV, JSON lines or Parquet log, through a column mapping."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import polars
import pytest

from producers.errors import LogUnreadable, MappingError
from producers.events import Event
from producers.readers import LogLine, Mapping, ReadEvent, RejectedLine, load_mapping, mapping_of, read_log

NOW_MS = 1_767_225_600_000  # 2026-01-01
TIME_MS = 1_569_888_005_000  # 2019-10-01T00:00:05Z


def read(path: Path, format_name: str, mapping: Mapping | None, content: str = "") -> list[LogLine]:
    if content:
        path.write_text(content)
    return list(read_log(path, format_name, mapping, now_ms=NOW_MS))


def events(lines: list[LogLine]) -> list[Event]:
    return [line.event for line in lines if isinstance(line, ReadEvent)]


def reasons(lines: list[LogLine]) -> list[str]:
    return [line.reason for line in lines if isinstance(line, RejectedLine)]


def test_a_csv_with_the_contracts_names_needs_no_mapping(tmp_path: Path) -> None:
    content = (
        "event_id,user_id,event_type,item_id,event_time_ms,price,quantity,ignored\n"
        f"e1,u1,purchase,i1,{TIME_MS},9.5,2,x\n"
        f",u1,view,i2,{TIME_MS},,,x\n"
    )
    first, second = events(read(tmp_path / "log", "csv", None, content))
    assert first == Event(
        event_id="e1", user_id="u1", event_type=first.event_type, item_id="i1", event_time_ms=TIME_MS,
        price=9.5, quantity=2,
    )  # fmt: skip
    assert first.event_type == "purchase"
    assert second.event_id.endswith("-3")
    assert (second.price, second.quantity) == (None, None)


def test_a_csv_with_other_names_words_and_delimiter(tmp_path: Path) -> None:
    mapping = mapping_of(
        ["user_id=who", "event_time_ms=at", "item_id=what", "event_type=did"],
        ["source=shop two"],
        ["look=view", "3=purchase"],
        "s",
        ";",
    )
    lines = read(
        tmp_path / "log",
        "csv",
        mapping,
        "did;what;at;who\nlook;i1;1569888005;u1\n3;i2;1569888005;u2\nsniff;i2;1569888005;u2\nlook;i1;1569888005\n",
    )
    assert [(event.user_id, event.event_type, event.item_id, event.source) for event in events(lines)] == [
        ("u1", "view", "i1", "shop two"),
        ("u2", "purchase", "i2", "shop two"),
    ]
    assert {event.event_time_ms for event in events(lines)} == {TIME_MS}
    assert reasons(lines) == ["event_type_unknown", "wrong_column_count"]


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("1569888005", "auto"),
        ("1569888005.0", "auto"),
        ("1569888005000", "auto"),
        ("1569888005000000", "auto"),
        ("2019-10-01T00:00:05Z", "auto"),
        ("2019-10-01 00:00:05", "auto"),
        ("2019-10-01T02:00:05+02:00", "iso"),
        ("1569888005", "s"),
        ("1569888005000", "ms"),
        ("1569888005000000", "us"),
    ],
)
def test_ways_to_write_a_time(tmp_path: Path, text: str, unit: str) -> None:
    mapping = mapping_of(time_unit=unit)
    content = f"user_id,event_type,item_id,event_time_ms\nu,view,i,{text}\n"
    assert [event.event_time_ms for event in events(read(tmp_path / "log", "csv", mapping, content))] == [
        TIME_MS
    ]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "event_time_ms_missing"),
        ("soon", "event_time_ms_not_integer"),
        ("15", "event_time_before_2000"),
        ("9" * 18, "event_time_in_future"),
        ("9" * 30, "event_time_ms_not_integer"),
        ("nan", "event_time_ms_not_integer"),
    ],
)
def test_times_that_are_none(tmp_path: Path, text: str, reason: str) -> None:
    content = f"user_id,event_type,item_id,event_time_ms\nu,view,i,{text}\n"
    assert reasons(read(tmp_path / "log", "csv", None, content)) == [reason]


def test_json_lines_are_read_by_paths(tmp_path: Path) -> None:
    mapping = mapping_of(["user_id=who.id", "item_id=props.item", "event_time_ms=ts", "price=props.price"])
    content = (
        '{"who":{"id":12},"event_type":"view","ts":1569888005000,"props":{"item":"i1","price":3}}\n'
        '{"who":{"id":12},"event_type":"view","ts":1569888005000,"props":[]}\n'
        '{"who":{"id":true},"event_type":"view","ts":1569888005000,"props":{"item":"i1"}}\n'
        '{"who":12,"event_type":"view","ts":1569888005000}\n'
        "[]\n"
        "{\n"
        "\n"
        '{"event_type":"search","query":"a hat","user_id":"u","who":{"id":"u"},"ts":"2019-10-01T00:00:05Z"}'
    )
    lines = read(tmp_path / "log", "jsonl", mapping, content)
    first, search = events(lines)
    assert (first.user_id, first.item_id, first.price, first.event_time_ms) == ("12", "i1", 3.0, TIME_MS)
    assert (search.query, search.event_time_ms) == ("a hat", TIME_MS)
    assert reasons(lines) == [
        "item_id_missing",
        "user_id_not_string",
        "user_id_missing",
        "not_an_object",
        "truncated_json",
        "empty_value",
    ]


def test_parquet_rows_keep_their_order_and_types(tmp_path: Path) -> None:
    rows = 50_000
    table = polars.DataFrame(
        {
            "visitor": range(rows),
            "at": [datetime(2019, 10, 1, 0, 0, 5, tzinfo=UTC)] * rows,
            "item_id": [f"i{row}" for row in range(rows)],
            "event_type": ["view"] * (rows - 1) + [None],
        }
    )
    table.write_parquet(tmp_path / "log")
    lines = read(tmp_path / "log", "parquet", mapping_of(["user_id=visitor", "event_time_ms=at"]))
    assert [event.user_id for event in events(lines)] == [str(row) for row in range(rows - 1)]
    assert {event.event_time_ms for event in events(lines)} == {TIME_MS}
    assert [line.line_number for line in lines] == list(range(1, rows + 1))
    assert reasons(lines) == ["event_type_missing"]


def test_a_file_that_is_no_parquet(tmp_path: Path) -> None:
    with pytest.raises(LogUnreadable, match="as Parquet"):
        read(tmp_path / "log", "parquet", None, "user_id,item_id\n")


def test_a_mapping_in_toml_says_the_same_as_one_in_options(tmp_path: Path) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(
        'time_unit = "s"\n[columns]\nuser_id = "who"\n'
        '[constants]\nevent_type = "view"\n[types]\nlook = "view"\n'
    )
    assert load_mapping(path) == mapping_of(["user_id=who"], ["event_type=view"], ["look=view"], "s")


@pytest.mark.parametrize(
    ("toml", "cure"),
    [
        ('[columns]\nuser = "who"', "the fields are event_id"),
        ('[types]\nlook = "glance"', "the types are view"),
        ('delimiter = "||"', "one character"),
        ('time_unit = "days"', "time_unit"),
        ("colums = 1", "colums"),
        ("not toml", "not TOML"),
    ],
)
def test_a_wrong_mapping_says_what_is_wrong(tmp_path: Path, toml: str, cure: str) -> None:
    path = tmp_path / "mapping.toml"
    path.write_text(toml)
    with pytest.raises(MappingError, match=cure):
        load_mapping(path)


def test_a_mapping_that_does_not_fit_the_log_says_so(tmp_path: Path) -> None:
    content = "user_id,event_type,item_id,at\nu,view,i,1569888005\n"
    with pytest.raises(MappingError, match=r"nothing gives event_time_ms: .*--map event_time_ms=COLUMN"):
        read(tmp_path / "log", "csv", None, content)
    with pytest.raises(MappingError, match="no column 'when' for event_time_ms; it has at, event_type"):
        read(tmp_path / "log", "csv", mapping_of(["event_time_ms=when"]), content)
    with pytest.raises(MappingError, match="a mapping is for csv"):
        read(tmp_path / "log", "rees46", Mapping())
    with pytest.raises(MappingError, match="NAME=VALUE"):
        mapping_of(["user_id"])
