"""The event contract: each way to be wrong has its reason code, and what is right comes back unchanged."""

from __future__ import annotations

import json
import math
import sys
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.contract import CLEANING_REASONS
from producers.events import (
    EVENT_TYPES,
    REASONS,
    Event,
    EventRejected,
    EventType,
    decode_event,
    decode_value,
    encode_event,
    event_from_fields,
)

if TYPE_CHECKING:
    from collections.abc import Callable

RECORD_MS = 1_700_000_000_000
DAY_MS = 86_400_000
GOOD: dict[str, Any] = {
    "event_id": "e1",
    "user_id": "u1",
    "event_type": "view",
    "event_time_ms": RECORD_MS,
    "item_id": "i1",
}
GOOD_BYTES = json.dumps(GOOD).encode()


def value(**changes: Any) -> bytes:
    return json.dumps({**GOOD, **changes}).encode()


def without(field: str) -> bytes:
    return json.dumps({name: each for name, each in GOOD.items() if name != field}).encode()


def with_raw(name: str, raw: bytes) -> bytes:
    """Return the good event with one more field, whose value is the bytes ``raw``."""
    return GOOD_BYTES[:-1] + b', "' + name.encode() + b'": ' + raw + b"}"


def reason_of(record_value: bytes | None, key: bytes | None = b"u1") -> str:
    with pytest.raises(EventRejected) as refusal:
        decode_event(record_value, key, RECORD_MS)
    return refusal.value.reason


MALFORMED: list[tuple[str, bytes | None, bytes | None, str]] = [
    ("tombstone", None, b"u1", "tombstone"),
    ("no bytes", b"", b"u1", "empty_value"),
    ("white space", b" \r\n\t", b"u1", "empty_value"),
    ("a byte that UTF-8 never has", GOOD_BYTES.replace(b"i1", b"\xff"), b"u1", "invalid_utf8"),
    ("an encoded surrogate", GOOD_BYTES.replace(b"i1", b"\xed\xa0\x80"), b"u1", "invalid_utf8"),
    ("bad bytes in an ignored field", with_raw("other", b'"\xc3"'), b"u1", "invalid_utf8"),
    ("UTF-16", GOOD_BYTES.decode().encode("utf-16"), b"u1", "invalid_utf8"),
    ("byte order mark", b"\xef\xbb\xbf" + GOOD_BYTES, b"u1", "byte_order_mark"),
    ("cut in a number", GOOD_BYTES[: GOOD_BYTES.index(b"0000")], b"u1", "truncated_json"),
    ("cut in a string", GOOD_BYTES[:14], b"u1", "truncated_json"),
    ("cut before the last brace", GOOD_BYTES[:-1], b"u1", "truncated_json"),
    ("cut in an escape", b'{"event_id": "\\u12', b"u1", "truncated_json"),
    ("cut behind the word NaN in a string", b'{"event_id": "NaN', b"u1", "truncated_json"),
    ("single quotes", b"{'event_id': 'e1'}", b"u1", "malformed_json"),
    ("trailing comma", GOOD_BYTES[:-1] + b",}", b"u1", "malformed_json"),
    ("two objects", GOOD_BYTES + GOOD_BYTES, b"u1", "malformed_json"),
    ("trailing text", GOOD_BYTES + b"x", b"u1", "malformed_json"),
    ("raw line break in a string", GOOD_BYTES.replace(b"i1", b"i\n1"), b"u1", "malformed_json"),
    ("unknown escape", GOOD_BYTES.replace(b"i1", b"\\q"), b"u1", "malformed_json"),
    ("not JSON but names Infinity in a string", b'{"event_id": "Infinity" x}', b"u1", "malformed_json"),
    ("CSV", b"1,2,view", b"u1", "malformed_json"),
    ("NaN", value(price=math.nan), b"u1", "number_not_finite"),
    ("Infinity", value(price=math.inf), b"u1", "number_not_finite"),
    ("minus Infinity", value(event_time_ms=-math.inf), b"u1", "number_not_finite"),
    ("1e400", with_raw("price", b"1e400"), b"u1", "number_not_finite"),
    ("5,000 digits", with_raw("price", b"1" * 5_000), b"u1", "number_not_finite"),
    ("null", b"null", b"u1", "not_an_object"),
    ("an array", b"[" + GOOD_BYTES + b"]", b"u1", "not_an_object"),
    ("a string", b'"view"', b"u1", "not_an_object"),
    ("a number", b"17", b"u1", "not_an_object"),
    ("open brackets", b"[" * 100_000, b"u1", "nested_too_deeply"),
    ("open objects", b'{"a":' * 300, b"u1", "nested_too_deeply"),
    ("deep ignored field", with_raw("other", b"[" * 250 + b"]" * 250), b"u1", "nested_too_deeply"),
    ("half a surrogate pair", GOOD_BYTES.replace(b"i1", b"\\ud800"), b"u1", "lone_surrogate"),
    ("the other half", GOOD_BYTES.replace(b"i1", b"\\udc00"), b"u1", "lone_surrogate"),
    ("half a pair in the user's id", GOOD_BYTES.replace(b"u1", b"\\uDBFF!"), b"u1", "lone_surrogate"),
    ("a name twice, one value wrong", with_raw("price", b'"x", "price": 1'), b"u1", "duplicate_field"),
    ("no key", GOOD_BYTES, None, "key_missing"),
    ("an empty key", GOOD_BYTES, b"", "key_mismatch"),
    ("another user's key", GOOD_BYTES, b"u2", "key_mismatch"),
    ("a key that is not UTF-8", GOOD_BYTES, b"\xff\xfe", "key_mismatch"),
    ("no event_id", without("event_id"), b"u1", "event_id_missing"),
    ("null event_id", value(event_id=None), b"u1", "event_id_missing"),
    ("an empty object", b"{}", b"u1", "event_id_missing"),
    ("no user_id", without("user_id"), b"u1", "user_id_missing"),
    ("no event_type", without("event_type"), b"u1", "event_type_missing"),
    ("no time", without("event_time_ms"), b"u1", "event_time_ms_missing"),
    ("no item", without("item_id"), b"u1", "item_id_missing"),
    ("null item of a purchase", value(item_id=None, event_type="purchase"), b"u1", "item_id_missing"),
    ("a number as event_id", value(event_id=7), b"u1", "event_id_not_string"),
    ("a bool as user_id", value(user_id=True), b"True", "user_id_not_string"),
    ("an array as item_id", value(item_id=["i1"]), b"u1", "item_id_not_string"),
    ("an object as session_id", value(session_id={}), b"u1", "session_id_not_string"),
    ("empty event_id", value(event_id=""), b"u1", "event_id_empty"),
    ("empty user_id", value(user_id=""), b"", "user_id_empty"),
    ("empty item_id", value(item_id=""), b"u1", "item_id_empty"),
    ("empty session_id", value(session_id=""), b"u1", "session_id_empty"),
    ("129 characters of event_id", value(event_id="é" * 129), b"u1", "event_id_too_long"),
    ("100 KB of user_id", value(user_id="u" * 100_000), b"u" * 100_000, "user_id_too_long"),
    ("100 KB of item_id", value(item_id="i" * 100_000), b"u1", "item_id_too_long"),
    ("129 characters of session_id", value(session_id="s" * 129), b"u1", "session_id_too_long"),
    ("an unknown type", value(event_type="hover"), b"u1", "event_type_unknown"),
    ("a type in capitals", value(event_type="VIEW"), b"u1", "event_type_unknown"),
    ("a number as type", value(event_type=0), b"u1", "event_type_not_string"),
    ("time as a string", value(event_time_ms=str(RECORD_MS)), b"u1", "event_time_ms_not_integer"),
    ("time with a fraction", value(event_time_ms=RECORD_MS + 0.5), b"u1", "event_time_ms_not_integer"),
    ("time as a whole float", value(event_time_ms=float(RECORD_MS)), b"u1", "event_time_ms_not_integer"),
    ("time as a bool", value(event_time_ms=True), b"u1", "event_time_ms_not_integer"),
    ("negative time", value(event_time_ms=-1), b"u1", "event_time_before_2000"),
    ("time in seconds", value(event_time_ms=RECORD_MS // 1_000), b"u1", "event_time_before_2000"),
    ("1 ms before 2000", value(event_time_ms=946_684_799_999), b"u1", "event_time_before_2000"),
    ("24 h and 1 ms ahead", value(event_time_ms=RECORD_MS + DAY_MS + 1), b"u1", "event_time_in_future"),
    ("time in microseconds", value(event_time_ms=RECORD_MS * 1_000), b"u1", "event_time_in_future"),
    ("400 digits of time", value(event_time_ms=10**400), b"u1", "event_time_in_future"),
    ("price as a string", value(price="9.99"), b"u1", "price_not_number"),
    ("price as a bool", value(price=False), b"u1", "price_not_number"),
    ("negative price", value(price=-0.01), b"u1", "price_out_of_range"),
    ("price over a thousand million", value(price=1e9 + 1), b"u1", "price_out_of_range"),
    ("400 digits of price", value(price=10**400), b"u1", "price_out_of_range"),
    ("quantity with a fraction", value(quantity=1.5), b"u1", "quantity_not_integer"),
    ("quantity as a bool", value(quantity=True), b"u1", "quantity_not_integer"),
    ("quantity 0", value(quantity=0), b"u1", "quantity_out_of_range"),
    ("quantity 2^31", value(quantity=2**31), b"u1", "quantity_out_of_range"),
    *(
        (f"a number as {field}", value(**{field: 1}), b"u1", f"{field}_not_string")
        for field in ("category", "brand", "query", "device", "source")
    ),
    *(
        (f"1,025 characters of {field}", value(**{field: "x" * 1_025}), b"u1", f"{field}_too_long")
        for field in ("category", "brand", "query", "device", "source")
    ),
]


@pytest.mark.parametrize(
    ("record_value", "key", "reason"),
    [pytest.param(*row[1:], id=row[0]) for row in MALFORMED],
)
def test_each_malformed_record_has_its_reason(
    record_value: bytes | None, key: bytes | None, reason: str
) -> None:
    assert reason_of(record_value, key) == reason


def test_every_reason_of_the_decoder_is_reached() -> None:
    # The others are decided where the user's window is known, not here.
    assert {reason for *_, reason in MALFORMED} == REASONS - CLEANING_REASONS - {"too_late"}


def test_a_refusal_never_repeats_the_record() -> None:
    shopper = "shopper-4711"
    for field in GOOD:
        with pytest.raises(EventRejected) as refusal:
            decode_event(value(**{field: [shopper]}), shopper.encode(), RECORD_MS)
        assert shopper not in str(refusal.value)


def test_limits_belong_to_the_contract() -> None:
    at_limits = value(
        event_id="😀" * 128,
        session_id="s" * 128,
        category="c" * 1_024,
        event_time_ms=RECORD_MS + DAY_MS,
        price=1e9,
        quantity=2**31 - 1,
    )
    event = decode_event(at_limits, b"u1", RECORD_MS)
    assert (event.price, event.quantity, len(event.event_id)) == (1e9, 2_147_483_647, 128)
    earliest = decode_event(value(event_time_ms=946_684_800_000, price=-0.0, quantity=1), b"u1", RECORD_MS)
    assert (earliest.event_time_ms, earliest.price, earliest.quantity) == (946_684_800_000, 0.0, 1)


def test_a_search_needs_no_item_and_nulls_are_absent_fields() -> None:
    event = decode_event(value(event_type="search", item_id=None, price=None), b"u1", RECORD_MS)
    assert event == Event(event_id="e1", user_id="u1", event_type=EventType.SEARCH, event_time_ms=RECORD_MS)


def test_unknown_fields_are_ignored() -> None:
    assert decode_event(value(colour={"deep": [1, None]}), b"u1", RECORD_MS) == decode_value(
        GOOD_BYTES, RECORD_MS
    )


def test_the_last_of_two_equal_names_counts() -> None:
    assert decode_value(with_raw("item_id", b'"i2"'), RECORD_MS).item_id == "i2"


def test_many_small_objects_are_not_deep() -> None:
    shallow = b"[" + b",".join([b'{"a": "[[["}'] * 300) + b"]"
    assert decode_value(with_raw("other", shallow), RECORD_MS).item_id == "i1"


def test_depth_is_judged_alike_however_deep_the_caller_stands() -> None:
    """At 200 levels accepted and at 201 refused, also from a stack that has little left."""
    accepted = with_raw("other", b"[" * 199 + b"]" * 199)
    refused = with_raw("other", b"[" * 200 + b"]" * 200)

    def judged(frames: int) -> tuple[str, str]:
        if frames:
            return judged(frames - 1)
        return decode_value(accepted, RECORD_MS).user_id, reason_of(refused)

    assert judged(0) == judged(min(500, sys.getrecursionlimit() // 2)) == ("u1", "nested_too_deeply")


# The first text that hypothesis draws on a fresh machine waits for its character tables.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

identifiers = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=128)
texts = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=1_024)
events = st.builds(
    Event,
    event_id=identifiers,
    user_id=identifiers,
    event_type=st.sampled_from(EVENT_TYPES),
    event_time_ms=st.integers(946_684_800_000, RECORD_MS + DAY_MS),
    item_id=identifiers,
    session_id=st.none() | identifiers,
    category=texts,
    brand=texts,
    query=texts,
    device=texts,
    source=texts,
    price=st.none() | st.floats(0, 1e9),
    quantity=st.none() | st.integers(1, 2**31 - 1),
)


@patient
@given(events)
def test_an_event_comes_back_from_its_bytes(event: Event) -> None:
    key = event.user_id.encode()
    assert decode_event(encode_event(event), key, RECORD_MS) == event
    fields = json.loads(encode_event(event))
    assert event_from_fields(fields, RECORD_MS) == event


@patient
@given(st.binary(max_size=300))
def test_any_bytes_are_an_event_or_have_a_reason(noise: bytes) -> None:
    assert reason_of(noise) in REASONS


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@patient
@given(st.dictionaries(st.sampled_from([*Event.__struct_fields__]), json_values))
def test_a_whole_object_is_never_called_malformed(changes: dict[str, Any]) -> None:
    """Whatever the fields hold, the reason names a field, and both ways in agree on it."""
    fields = {**GOOD, **changes}
    from_bytes = _outcome(lambda: decode_value(json.dumps(fields).encode(), RECORD_MS))
    assert from_bytes == _outcome(lambda: event_from_fields(fields, RECORD_MS))
    assert from_bytes != "malformed_json"
    assert from_bytes == fields["event_id"] or from_bytes in REASONS


def _outcome(read: Callable[[], Event]) -> str:
    try:
        return read().event_id
    except EventRejected as refusal:
        return refusal.reason


@patient
@given(events, st.data())
def test_a_cut_value_is_truncated_or_no_text(event: Event, data: st.DataObject) -> None:
    whole = encode_event(event)
    length = data.draw(st.integers(1, len(whole) - 1))
    assert reason_of(whole[:length]) in {"truncated_json", "invalid_utf8"}


@pytest.mark.parametrize("number", ["-", "0.", "-12.", "1e", "1.5E", "1.5e+", "100000000."])
def test_a_value_that_ends_within_a_number_is_truncated(number: str) -> None:
    assert reason_of(GOOD_BYTES[:-1] + b',"price":' + number.encode()) == "truncated_json"


@pytest.mark.parametrize("number", ["1.e", "01", "1.}", "--", "1e+-"])
def test_a_value_with_no_number_where_one_must_be_is_malformed(number: str) -> None:
    assert reason_of(GOOD_BYTES[:-1] + b',"price":' + number.encode()) == "malformed_json"


def test_fields_with_half_a_surrogate_pair_are_refused() -> None:
    with pytest.raises(EventRejected, match="lone_surrogate"):
        event_from_fields({**GOOD, "item_id": "\ud800"}, RECORD_MS)


@pytest.mark.parametrize("price", [math.nan, math.inf, -math.inf])
def test_fields_with_numbers_that_are_not_finite_are_refused(price: float) -> None:
    with pytest.raises(EventRejected, match="number_not_finite"):
        event_from_fields({**GOOD, "price": price}, RECORD_MS)
