"""GA4, Segment and Snowplow events become events of the contract, field by field."""

from __future__ import annotations

from typing import Any

import pytest

from producers.events import Event, EventRejected, EventType
from producers.vocabularies import (
    GA4_NAMES,
    SEGMENT_NAMES,
    SNOWPLOW_NAMES,
    Vocabulary,
    events_of,
    payloads_of,
    vocabulary_of,
)

RECEIVED_MS = 1_700_000_100_000
ACT_MS = 1_700_000_000_123  # 2023-11-14T22:13:20.123Z
SNOWPLOW = "com_snowplowanalytics_snowplow"
ACTION = f"unstruct_event_{SNOWPLOW}_ecommerce_snowplow_ecommerce_action_1"
PRODUCTS = f"contexts_{SNOWPLOW}_ecommerce_product_1"


def only(payload: dict[str, Any], vocabulary: Vocabulary | None = None) -> Event:
    (event,) = events_of(payload, RECEIVED_MS, vocabulary)
    return event


GA4_CART = {
    "name": "add_to_cart",
    "client_id": "1234.5678",
    "timestamp_micros": ACT_MS * 1_000,
    "params": {
        "session_id": 1_700_000_000,
        "currency": "EUR",
        "value": 19.98,
        "source": "newsletter",
        "items": [
            {
                "item_id": "SKU_1",
                "item_name": "A shirt",
                "item_brand": "Acme",
                "item_category": "Clothes",
                "item_category2": "Shirts",
                "price": 9.99,
                "quantity": 2,
            }
        ],
    },
    "device": {"category": "mobile"},
}
SEGMENT_CART = {
    "type": "track",
    "event": "Product Added",
    "messageId": "m-1",
    "userId": 42,
    "anonymousId": "anon",
    "timestamp": "2023-11-14T22:13:20.123Z",
    "properties": {
        "product_id": "p1",
        "sku": "s1",
        "category": "Games",
        "brand": "Hasbro",
        "price": "18.99",
        "quantity": 1,
    },
    "context": {"device": {"type": "ios"}, "campaign": {"source": "google"}, "sessionId": "s9"},
}
SNOWPLOW_CART = {
    "event_id": "c6ef3124-b53a-4b13-a233-0088f79dcbcb",
    "user_id": None,
    "domain_userid": "bc2e92ec6c204a14",
    "domain_sessionid": "87857856-a603-4eb8-9a0b-9c1ff2e2f5c8",
    "derived_tstamp": "2023-11-14 22:13:20.123",
    "dvce_type": "Computer",
    "mkt_source": "bing",
    ACTION: {"type": "add_to_cart"},
    PRODUCTS: [{"id": "P125", "category": "Mens/Apparel", "brand": "Plow", "price": 200, "quantity": 3}],
}


def test_a_ga4_event_is_mapped_field_by_field() -> None:
    event = only(GA4_CART)
    assert event == Event(
        event_id=event.event_id,
        user_id="1234.5678",
        event_type=EventType.CART,
        event_time_ms=ACT_MS,
        item_id="SKU_1",
        session_id="1700000000",
        category="Clothes.Shirts",
        brand="Acme",
        device="mobile",
        source="newsletter",
        price=9.99,
        quantity=2,
    )


def test_a_segment_event_is_mapped_field_by_field() -> None:
    assert only(SEGMENT_CART) == Event(
        event_id="m-1",
        user_id="42",
        event_type=EventType.CART,
        event_time_ms=ACT_MS,
        item_id="p1",
        session_id="s9",
        category="Games",
        brand="Hasbro",
        device="ios",
        source="google",
        price=18.99,
        quantity=1,
    )


def test_a_snowplow_event_is_mapped_field_by_field() -> None:
    assert only(SNOWPLOW_CART) == Event(
        event_id="c6ef3124-b53a-4b13-a233-0088f79dcbcb",
        user_id="bc2e92ec6c204a14",
        event_type=EventType.CART,
        event_time_ms=ACT_MS,
        item_id="P125",
        session_id="87857856-a603-4eb8-9a0b-9c1ff2e2f5c8",
        category="Mens/Apparel",
        brand="Plow",
        device="Computer",
        source="bing",
        price=200.0,
        quantity=3,
    )


def named(vocabulary: Vocabulary, name: str) -> dict[str, Any]:
    if vocabulary is Vocabulary.GA4:
        return {**GA4_CART, "name": name}
    if vocabulary is Vocabulary.SEGMENT:
        return {**SEGMENT_CART, "event": name}
    return {**SNOWPLOW_CART, ACTION: {"type": name}}


@pytest.mark.parametrize(
    ("vocabulary", "name", "event_type"),
    [
        (Vocabulary.GA4, "view_item", "view"),
        (Vocabulary.GA4, "remove_from_cart", "remove_from_cart"),
        (Vocabulary.GA4, "add_to_wishlist", "favorite"),
        (Vocabulary.GA4, "purchase", "purchase"),
        (Vocabulary.GA4, "search", "search"),
        (Vocabulary.GA4, "view_search_results", "search"),
        (Vocabulary.SEGMENT, "Product Viewed", "view"),
        (Vocabulary.SEGMENT, "Product Removed", "remove_from_cart"),
        (Vocabulary.SEGMENT, "Product Added to Wishlist", "favorite"),
        (Vocabulary.SEGMENT, "Order Completed", "purchase"),
        (Vocabulary.SEGMENT, "Products Searched", "search"),
        (Vocabulary.SNOWPLOW, "product_view", "view"),
        (Vocabulary.SNOWPLOW, "remove_from_cart", "remove_from_cart"),
        (Vocabulary.SNOWPLOW, "transaction", "purchase"),
    ],
)
def test_names_are_known_and_their_vocabulary_is_found(
    vocabulary: Vocabulary, name: str, event_type: str
) -> None:
    payload = named(vocabulary, name)
    assert vocabulary_of(payload) is vocabulary
    assert only(payload).event_type == only(payload, vocabulary).event_type == event_type


def test_no_vocabulary_lacks_a_type_that_it_has_a_name_for() -> None:
    assert set(GA4_NAMES.values()) == set(SEGMENT_NAMES.values()) == set(EventType)
    assert set(SNOWPLOW_NAMES.values()) == set(EventType) - {EventType.FAVORITE}


@pytest.mark.parametrize(
    ("vocabulary", "name"),
    [
        (Vocabulary.GA4, "begin_checkout"),
        (Vocabulary.SEGMENT, "Product List Viewed"),
        (Vocabulary.SNOWPLOW, "refund"),
    ],
)
def test_acts_that_the_contract_has_no_type_for_are_refused(vocabulary: Vocabulary, name: str) -> None:
    with pytest.raises(EventRejected, match="event_type_unknown"):
        events_of(named(vocabulary, name), RECEIVED_MS)


def test_an_order_of_three_items_is_three_purchases() -> None:
    products = [{"product_id": each, "price": 1} for each in ("a", "b", "c")]
    order = {**SEGMENT_CART, "event": "Order Completed", "properties": {"products": products}}
    events = events_of(order, RECEIVED_MS)
    assert [(each.event_id, each.item_id) for each in events] == [
        ("m-1", "a"),
        ("m-1-1", "b"),
        ("m-1-2", "c"),
    ]
    assert {each.event_type for each in events} == {EventType.PURCHASE}


def test_searches_keep_their_words_and_need_no_item() -> None:
    ga4 = only({"name": "search", "client_id": "c", "params": {"search_term": "red shoes"}})
    segment = only({**SEGMENT_CART, "event": "Products Searched", "properties": {"query": "red shoes"}})
    snowplow = only(
        {
            "event_id": "e",
            "domain_userid": "d",
            f"unstruct_event_{SNOWPLOW}_site_search_1": {"terms": ["red", "shoes"]},
        }
    )
    for event in (ga4, segment, snowplow):
        assert (event.event_type, event.query, event.item_id) == (EventType.SEARCH, "red shoes", None)


def test_an_event_without_an_id_gets_the_same_one_each_time_it_is_sent() -> None:
    first, again = only(GA4_CART), only(dict(reversed(GA4_CART.items())))
    later = only({**GA4_CART, "timestamp_micros": (ACT_MS + 1) * 1_000})
    assert first.event_id == again.event_id != later.event_id


def test_an_event_without_a_time_happened_when_it_was_received() -> None:
    untimed = {name: value for name, value in GA4_CART.items() if name != "timestamp_micros"}
    assert only(untimed).event_time_ms == RECEIVED_MS
    (later,) = events_of(untimed, RECEIVED_MS + 5)
    assert later.event_id != only(untimed).event_id


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ({**SEGMENT_CART, "timestamp": "yesterday"}, "event_time_ms_not_integer"),
        ({**SEGMENT_CART, "timestamp": "1999-12-31T23:59:59Z"}, "event_time_before_2000"),
        ({**SEGMENT_CART, "timestamp": 5.5}, "event_time_ms_not_integer"),
        ({**SEGMENT_CART, "event": 5}, "event_type_not_string"),
        ({**SEGMENT_CART, "event": None}, "event_type_missing"),
        ({**SEGMENT_CART, "userId": None, "anonymousId": None}, "user_id_missing"),
        ({**SEGMENT_CART, "properties": ["p1"]}, "item_id_missing"),
        ({**SEGMENT_CART, "properties": {"product_id": "p", "price": "dear"}}, "price_not_number"),
        ({**SEGMENT_CART, "properties": {"product_id": "p", "price": "nan"}}, "number_not_finite"),
        ({**GA4_CART, "timestamp_micros": "soon"}, "event_time_ms_not_integer"),
        ({**GA4_CART, "params": "none"}, "item_id_missing"),
        ({**SNOWPLOW_CART, PRODUCTS: None}, "item_id_missing"),
        ({"event_id": "e", "user_id": "u"}, "event_type_missing"),
        ({"event_id": "e", "user_id": "u", "name": {"view_item": 1}}, "event_type_missing"),
    ],
)
def test_what_is_wrong_gets_the_contracts_own_reason(payload: dict[str, Any], reason: str) -> None:
    with pytest.raises(EventRejected) as refusal:
        events_of(payload, RECEIVED_MS)
    assert refusal.value.reason == reason


def test_times_with_an_offset_are_brought_to_utc() -> None:
    assert only({**SEGMENT_CART, "timestamp": "2023-11-15T00:13:20.123+02:00"}).event_time_ms == ACT_MS


def test_bodies_hold_one_payload_or_many() -> None:
    assert payloads_of({"a": 1}) == [{"a": 1}]
    assert payloads_of([{"a": 1}, 5]) == [{"a": 1}, 5]
    assert payloads_of(7) == [7]
    assert payloads_of({"events": [{"name": "n"}, 5], "client_id": "c", "other": 1}) == [
        {"client_id": "c", "name": "n"},
        5,
    ]
    assert payloads_of({"batch": [{"context": 1}], "context": 2}) == [{"context": 1}]
