"""Each public log's format, by a few lines written by hand."""

from __future__ import annotations

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.errors import LogUnreadable, UnexpectedColumns, UnknownFormat
from producers.events import REASONS, Event, EventType
from producers.readers import FORMATS, LineCount, LogLine, ReadEvent, RejectedLine, read_log

NOW_MS = 1_767_225_600_000  # 2026-01-01
REES46_HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session"
REES46_LINE = "2019-10-01 00:00:05 UTC,view,44600062,2103,appliances.kitchen,shiseido,35.79,541312140,72d7"
REES46_TIME_MS = 1_569_888_005_000


def read(directory: Path, format_name: str, content: str | bytes) -> list[LogLine]:
    path = directory / "log"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(read_log(path, format_name, now_ms=NOW_MS))


def events(lines: list[LogLine]) -> list[Event]:
    return [line.event for line in lines if isinstance(line, ReadEvent)]


def rejected(lines: list[LogLine]) -> list[tuple[int, str]]:
    return [(line.line_number, line.reason) for line in lines if isinstance(line, RejectedLine)]


def test_a_rees46_line_becomes_an_event(tmp_path: Path) -> None:
    (event,) = events(read(tmp_path, "rees46", f"{REES46_HEADER}\n{REES46_LINE}\n"))
    assert event.user_id == "541312140"
    assert event.event_type is EventType.VIEW
    assert event.event_time_ms == REES46_TIME_MS
    assert event.item_id == "44600062"
    assert event.session_id == "72d7"
    assert event.category == "appliances.kitchen"
    assert event.brand == "shiseido"
    assert event.price == 35.79


def test_what_rees46_leaves_empty_is_absent_but_for_the_category(tmp_path: Path) -> None:
    line = "2019-10-01 00:00:05 UTC,cart,44600062,2103,,,,541312140,"
    (event,) = events(read(tmp_path, "rees46", line))
    assert (event.category, event.brand, event.price, event.session_id) == ("2103", None, None, None)


def test_every_bad_rees46_line_has_a_reason_and_a_cut_last_line_is_rejected(tmp_path: Path) -> None:
    content = "\n".join(
        [
            REES46_HEADER,
            REES46_LINE,
            "",
            REES46_LINE.replace("view", "glance"),
            REES46_LINE.replace("2019-10-01 00:00:05 UTC", "yesterday"),
            REES46_LINE.replace("2019", "1999"),
            REES46_LINE.replace("2019", "2031"),
            REES46_LINE.replace("35.79", "cheap"),
            REES46_LINE.replace("35.79", "-1"),
            REES46_LINE.replace("541312140", ""),
            REES46_LINE.replace("44600062", ""),
            REES46_LINE.replace("44600062", "9" * 129),
            REES46_LINE + ",more",
            REES46_LINE.rpartition(",")[0],
        ]
    )
    lines = read(tmp_path, "rees46", content)
    assert rejected(lines) == [
        (3, "empty_value"),
        (4, "event_type_unknown"),
        (5, "event_time_ms_not_integer"),
        (6, "event_time_before_2000"),
        (7, "event_time_in_future"),
        (8, "price_not_number"),
        (9, "price_out_of_range"),
        (10, "user_id_empty"),
        (11, "item_id_empty"),
        (12, "item_id_too_long"),
        (13, "wrong_column_count"),
        (14, "wrong_column_count"),
    ]
    count = LineCount()
    assert list(count.count(lines)) == lines
    assert (count.lines, count.events, count.rejected.total()) == (13, 1, 12)


def test_a_line_that_is_not_utf8_is_rejected_and_the_next_is_read(tmp_path: Path) -> None:
    content = REES46_LINE.replace("shiseido", "caf\xe9").encode("latin-1") + b"\r\n" + REES46_LINE.encode()
    lines = read(tmp_path, "rees46", content)
    assert rejected(lines) == [(1, "invalid_utf8")]
    assert [event.brand for event in events(lines)] == ["shiseido"]


def test_an_open_quote_spoils_its_own_line_only(tmp_path: Path) -> None:
    quoted = REES46_LINE.replace("shiseido", '"shiseido, tokyo"')
    spoilt = REES46_LINE.replace("shiseido", '"shiseido')
    lines = read(tmp_path, "rees46", f"{quoted}\n{spoilt}\n{REES46_LINE}\n")
    assert rejected(lines) == [(2, "wrong_column_count")]
    assert [event.brand for event in events(lines)] == ["shiseido, tokyo", "shiseido"]


def test_event_ids_depend_on_the_content_and_the_line_alone(tmp_path: Path) -> None:
    (tmp_path / "copy").mkdir()
    content = f"{REES46_LINE}\n{REES46_LINE}\n"
    first, again = (events(read(place, "rees46", content)) for place in (tmp_path, tmp_path / "copy"))
    other = events(read(tmp_path, "rees46", content.replace("35.79", "35.80")))
    ids = [event.event_id for event in first]
    assert ids == [event.event_id for event in again]
    assert len({*ids, *(event.event_id for event in other)}) == 4


def test_gzip_is_read_as_it_is(tmp_path: Path) -> None:
    packed = gzip.compress(f"{REES46_HEADER}\n{REES46_LINE}\n".encode())
    assert [event.event_time_ms for event in events(read(tmp_path, "rees46", packed))] == [REES46_TIME_MS]


def test_a_gzip_that_ends_too_early_is_an_error_and_not_a_short_log(tmp_path: Path) -> None:
    packed = gzip.compress(f"{REES46_HEADER}\n{REES46_LINE}\n".encode())
    with pytest.raises(LogUnreadable, match="fetch or compress it again"):
        read(tmp_path, "rees46", packed[:-6])


def test_a_header_with_other_columns_says_how_else_to_read_it(tmp_path: Path) -> None:
    with pytest.raises(UnexpectedColumns, match="--format csv"):
        read(tmp_path, "rees46", "event_time,kind\n")


@pytest.mark.parametrize("name", FORMATS)
def test_a_missing_file_and_an_unknown_format_are_errors_at_once(tmp_path: Path, name: str) -> None:
    with pytest.raises(LogUnreadable, match="check the path"):
        read_log(tmp_path / "none", name)
    with pytest.raises(UnknownFormat, match=r"otto \(OTTO sessions, JSON lines\)"):
        read_log(tmp_path / "none", f"no-{name}")


def test_taobao_words_and_times(tmp_path: Path) -> None:
    types = ["pv", "cart", "fav", "buy"]
    content = "\n".join(f"543462,1715,1464116,{word},1511658000" for word in types)
    lines = read(tmp_path, "taobao", content + "\n1,2,3,like,1511658000\n1,2,3,pv,-20\n1,2,3,pv,15")
    assert [event.event_type for event in events(lines)] == ["view", "cart", "favorite", "purchase"]
    assert {event.event_time_ms for event in events(lines)} == {1_511_658_000_000}
    assert events(lines)[0].category == "1464116"
    assert [reason for _, reason in rejected(lines)] == [
        "event_type_unknown",
        "event_time_before_2000",
        "event_time_before_2000",
    ]


def test_retailrocket_words(tmp_path: Path) -> None:
    content = (
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,355908,\n"
        "1433222276276,257597,addtocart,355908,\n"
        "1433223236124,257597,transaction,355908,4000\n"
    )
    found = events(read(tmp_path, "retailrocket", content))
    assert [event.event_type for event in found] == ["view", "cart", "purchase"]
    assert found[0].event_time_ms == 1_433_221_332_117
    assert {(event.user_id, event.item_id) for event in found} == {("257597", "355908")}


def test_yoochoose_takes_a_zero_for_what_is_not_known(tmp_path: Path) -> None:
    clicks = read(
        tmp_path,
        "yoochoose-clicks",
        "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,2,S\n",
    )
    assert [event.category for event in events(clicks)] == [None, "S"]
    assert events(clicks)[0].event_time_ms == 1_396_867_869_277
    buys = read(
        tmp_path,
        "yoochoose-buys",
        "7,2014-04-06T18:44:58.314Z,214,12462,1\n7,2014-04-06T18:44:58.325Z,3,0,0\n",
    )
    assert [(event.price, event.quantity) for event in events(buys)] == [(12462.0, 1), (None, None)]
    assert {event.event_type for event in events(buys)} == {EventType.PURCHASE}
    assert {(event.user_id, event.session_id) for event in events(buys)} == {("7", "7")}


def test_alibaba_days_keep_the_order_of_a_users_lines(tmp_path: Path) -> None:
    content = (
        "user_id,brand_id,type,visit_datetime\n"
        "1,10,0,6-4\n1,11,2,6-4\n1,12,3,6-5\n1,13,1,6-4\n2,14,0,6-4\n2,14,0,2-30\n"
    )
    lines = read(tmp_path, "alibaba2014", content)
    day_ms = 1_401_840_000_000  # 2014-06-04
    assert [(event.item_id, event.event_time_ms) for event in events(lines)] == [
        ("10", day_ms),
        ("11", day_ms + 1_000),
        ("12", day_ms + 86_400_000),
        ("13", day_ms + 2_000),
        ("14", day_ms),
    ]
    assert [event.event_type for event in events(lines)] == ["view", "favorite", "cart", "purchase", "view"]
    assert rejected(lines) == [(7, "event_time_ms_not_integer")]


def test_the_year_of_alibaba_is_an_option(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("1,10,0,1-1\n")
    (line,) = read_log(path, "alibaba2014", year=2020, now_ms=NOW_MS)
    assert isinstance(line, ReadEvent)
    assert line.event.event_time_ms == 1_577_836_800_000


def test_each_item_of_a_session_file_is_a_line_a_second_after_the_one_before(tmp_path: Path) -> None:
    found = events(read(tmp_path, "sessions", "1 2\n3 4 5\n"))
    assert [event.item_id for event in found] == ["1", "2", "3", "4", "5"]
    base_ms = 1_577_836_800_000
    assert [event.event_time_ms for event in found] == [base_ms + 1_000 * place for place in range(5)]
    assert [event.user_id for event in found] == [found[0].user_id] * 2 + [found[2].user_id] * 3
    assert len({event.event_id for event in found}) == 5


def test_otto_counts_events_and_a_broken_line_as_one(tmp_path: Path) -> None:
    content = (
        '{"session":7,"events":[{"aid":1,"ts":1659304800025,"type":"clicks"},'
        '{"aid":2,"ts":1659304800026,"type":"carts"},{"aid":2,"ts":1659304800027,"type":"orders"}]}\n'
        '{"session":8,"events":[{"aid":1,"ts":1659304800025,"type":"stares"},3,{"aid":1,"type":"clicks"}]}\n'
        '{"session":9}\n'
        "not JSON\n"
        "\n"
        '{"session":10,"events":[{"aid":1,"ts":16593048'
    )
    lines = read(tmp_path, "otto", content)
    assert [(event.user_id, event.item_id, event.event_type) for event in events(lines)] == [
        ("7", "1", "view"),
        ("7", "2", "cart"),
        ("7", "2", "purchase"),
    ]
    assert rejected(lines) == [
        (2, "event_type_unknown"),
        (2, "not_an_object"),
        (2, "event_time_ms_missing"),
        (3, "not_an_object"),
        (4, "malformed_json"),
        (5, "empty_value"),
        (6, "truncated_json"),
    ]


def test_the_otto_fixture_holds_862_events() -> None:
    lines = list(read_log(Path(__file__).parents[1] / "data" / "otto.jsonl", "otto", now_ms=NOW_MS))
    types = [event.event_type for event in events(lines)]
    assert (len(lines), len(types)) == (862, 862)
    assert [types.count(word) for word in (EventType.VIEW, EventType.CART, EventType.PURCHASE)] == [
        800,
        52,
        10,
    ]
    assert len({event.item_id for event in events(lines)}) == 510
    assert len({event.user_id for event in events(lines)}) == 20


def test_reasons_are_the_contracts_but_for_the_column_count(tmp_path: Path) -> None:
    lines = read(tmp_path, "taobao", "1,2,3\n,2,3,pv,1511658000\n1,2,3,,1511658000\n1,2,3,pv,\n")
    reasons = {reason for _, reason in rejected(lines)}
    assert reasons - REASONS == {"wrong_column_count"}


@pytest.mark.parametrize(
    "name", ["rees46", "taobao", "retailrocket", "yoochoose-clicks", "alibaba2014", "jsonl"]
)
@given(content=st.binary(max_size=300).map(lambda some: b"?" + some))
def test_whatever_the_bytes_each_line_is_an_event_or_has_a_reason(name: str, content: bytes) -> None:
    with TemporaryDirectory() as directory:
        lines = read(Path(directory), name, content)
    ends = content.count(b"\n") - content.endswith(b"\n")
    assert [line.line_number for line in lines] == list(range(1, ends + 2))


def test_json_that_no_event_can_hold_has_the_contracts_reasons(tmp_path: Path) -> None:
    content = "[" * 5_000 + '\n{"session":"\\ud800","events":[]}\n{"session":1e999,"events":[]}\n'
    assert [reason for _, reason in rejected(read(tmp_path, "otto", content))] == [
        "nested_too_deeply",
        "lone_surrogate",
        "number_not_finite",
    ]
