"""Events under the names of GA4, Segment and Snowplow, turned into events of the contract.

Only what the contract has a type for is mapped; other events of those vocabularies (page views,
impressions, checkout steps, refunds) are refused as ``event_type_unknown``. An event about several
items becomes one event for each. Where the vocabulary has no id for an event, its id is a hash of
its content and time, so the same event sent twice has the same id.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

import msgspec

from producers.contract import EventRejected, EventType
from producers.events import Event, event_from_fields
from producers.vocabulary_values import (
    Fields,
    first_of,
    list_or_empty,
    milliseconds_of_iso,
    milliseconds_of_micros,
    number_of_text,
    object_or_empty,
    text_of_id,
)

GA4_NAMES: Final[Mapping[str, EventType]] = {
    "view_item": EventType.VIEW,
    "add_to_cart": EventType.CART,
    "remove_from_cart": EventType.REMOVE_FROM_CART,
    "add_to_wishlist": EventType.FAVORITE,
    "purchase": EventType.PURCHASE,
    "search": EventType.SEARCH,
    "view_search_results": EventType.SEARCH,
}
SEGMENT_NAMES: Final[Mapping[str, EventType]] = {
    "Product Viewed": EventType.VIEW,
    "Product Added": EventType.CART,
    "Product Removed": EventType.REMOVE_FROM_CART,
    "Product Added to Wishlist": EventType.FAVORITE,
    "Order Completed": EventType.PURCHASE,
    "Products Searched": EventType.SEARCH,
}
SNOWPLOW_NAMES: Final[Mapping[str, EventType]] = {
    "product_view": EventType.VIEW,
    "add_to_cart": EventType.CART,
    "remove_from_cart": EventType.REMOVE_FROM_CART,
    "transaction": EventType.PURCHASE,
    "site_search": EventType.SEARCH,
}

_SNOWPLOW_ACTION: Final = (
    "unstruct_event_com_snowplowanalytics_snowplow_ecommerce_snowplow_ecommerce_action_1"
)
_SNOWPLOW_PRODUCTS: Final = "contexts_com_snowplowanalytics_snowplow_ecommerce_product_1"
_SNOWPLOW_SEARCH: Final = "unstruct_event_com_snowplowanalytics_snowplow_site_search_1"

_SHARED: Final = ("client_id", "user_id", "user_pseudo_id", "timestamp_micros", "device", "context")


class Vocabulary(StrEnum):
    """Whose names an event has. ``foreclick`` is the contract itself."""

    FORECLICK = "foreclick"
    GA4 = "ga4"
    SEGMENT = "segment"
    SNOWPLOW = "snowplow"


def vocabulary_of(payload: Fields) -> Vocabulary:
    """Return the vocabulary that a payload is in, by the fields that only one of them has."""
    if "event_type" in payload:
        return Vocabulary.FORECLICK
    if any(name.startswith(("unstruct_event_", "contexts_com_snowplow")) for name in payload):
        return Vocabulary.SNOWPLOW
    if payload.get("type") == "track" or "properties" in payload or "messageId" in payload:
        return Vocabulary.SEGMENT
    name = payload.get("name")
    if "params" in payload or (isinstance(name, str) and name in GA4_NAMES):
        return Vocabulary.GA4
    return Vocabulary.FORECLICK


def payloads_of(body: Any) -> list[Any]:
    """Return the payloads in a body: one object, an array, or an array under ``events`` or ``batch``.

    What a GA4 or Segment request says once for all its events is put into each of them.
    """
    if isinstance(body, list):
        return body
    wrapped = body.get("events", body.get("batch")) if isinstance(body, dict) else None
    if not isinstance(wrapped, list):
        return [body]
    shared = {name: body[name] for name in _SHARED if name in body}
    return [{**shared, **each} if isinstance(each, dict) else each for each in wrapped]


def events_of(payload: Fields, received_ms: int, vocabulary: Vocabulary | None = None) -> list[Event]:
    """Return the events of the contract that one payload stands for; at least one.

    ``vocabulary`` None finds it by `vocabulary_of`. ``received_ms``, in Unix milliseconds, is the
    event's time where the payload has none. Raises `EventRejected` when any of them is no event.
    """
    mapped = _MAPPINGS[vocabulary or vocabulary_of(payload)](payload, received_ms)
    return [event_from_fields(fields, received_ms) for fields in mapped]


def _foreclick(payload: Fields, received_ms: int) -> list[Fields]:  # noqa: ARG001
    return [payload]


def _ga4(payload: Fields, received_ms: int) -> list[Fields]:
    """Map one event of the Measurement Protocol, joined with its request's client_id and user_id."""
    params = object_or_empty(payload.get("params"))
    event_type = _type_of(payload.get("name"), GA4_NAMES, "GA4")
    shared = {
        "user_id": first_of(payload, "user_id", "client_id", "user_pseudo_id"),
        "event_type": event_type,
        "event_time_ms": milliseconds_of_micros(
            first_of(payload, "timestamp_micros", "event_timestamp"), received_ms
        ),
        "session_id": text_of_id(first_of(params, "session_id", "ga_session_id")),
        "query": params.get("search_term"),
        "device": object_or_empty(payload.get("device")).get("category"),
        "source": first_of(params, "source"),
    }
    items = [_ga4_item(object_or_empty(item)) for item in list_or_empty(params.get("items"))]
    return _with_items(shared, items, first_of(params, "event_id", "transaction_id"), payload)


def _ga4_item(item: Fields) -> Fields:
    names = [item.get(name) for name in ("item_category", *(f"item_category{n}" for n in range(2, 6)))]
    categories = [name for name in names if isinstance(name, str) and name]
    return {
        "item_id": text_of_id(item.get("item_id")),
        "category": ".".join(categories) or None,
        "brand": item.get("item_brand"),
        "price": number_of_text(item.get("price")),
        "quantity": item.get("quantity"),
    }


def _segment(payload: Fields, received_ms: int) -> list[Fields]:
    """Map one ``track`` call of the e-commerce spec, version 2."""
    properties, context = object_or_empty(payload.get("properties")), object_or_empty(payload.get("context"))
    shared = {
        "user_id": text_of_id(first_of(payload, "userId", "anonymousId")),
        "event_type": _type_of(payload.get("event"), SEGMENT_NAMES, "Segment"),
        "event_time_ms": milliseconds_of_iso(
            first_of(payload, "timestamp", "originalTimestamp", "sentAt"), received_ms
        ),
        "session_id": text_of_id(first_of(object_or_empty(context), "sessionId")),
        "query": properties.get("query"),
        "device": object_or_empty(context.get("device")).get("type"),
        "source": object_or_empty(context.get("campaign")).get("source"),
    }
    products = list_or_empty(properties.get("products")) or [properties]
    items = [_item(object_or_empty(product), "product_id", "productId", "id", "sku") for product in products]
    return _with_items(shared, items, payload.get("messageId"), payload)


def _snowplow(payload: Fields, received_ms: int) -> list[Fields]:
    """Map one enriched event in the JSON form of the Snowplow analytics SDKs."""
    searched = object_or_empty(payload.get(_SNOWPLOW_SEARCH))
    name = "site_search" if searched else object_or_empty(payload.get(_SNOWPLOW_ACTION)).get("type")
    terms = [term for term in list_or_empty(searched.get("terms")) if isinstance(term, str)]
    shared = {
        "user_id": first_of(payload, "user_id", "domain_userid", "network_userid"),
        "event_type": _type_of(name, SNOWPLOW_NAMES, "Snowplow"),
        "event_time_ms": milliseconds_of_iso(
            first_of(payload, "derived_tstamp", "dvce_created_tstamp", "collector_tstamp"), received_ms
        ),
        "session_id": payload.get("domain_sessionid"),
        "query": " ".join(terms) or None,
        "device": payload.get("dvce_type"),
        "source": payload.get("mkt_source"),
    }
    items = [
        _item(object_or_empty(product), "id") for product in list_or_empty(payload.get(_SNOWPLOW_PRODUCTS))
    ]
    return _with_items(shared, items, payload.get("event_id"), payload)


def _item(product: Fields, *id_names: str) -> Fields:
    return {
        "item_id": text_of_id(first_of(product, *id_names)),
        "category": product.get("category"),
        "brand": product.get("brand"),
        "price": number_of_text(product.get("price")),
        "quantity": product.get("quantity"),
    }


_MAPPINGS: Final[Mapping[Vocabulary, Callable[[Fields, int], list[Fields]]]] = {
    Vocabulary.FORECLICK: _foreclick,
    Vocabulary.GA4: _ga4,
    Vocabulary.SEGMENT: _segment,
    Vocabulary.SNOWPLOW: _snowplow,
}


def _with_items(shared: Fields, items: list[Fields], event_id: Any, payload: Fields) -> list[Fields]:
    """Return one event for each item, or one without; the second has ``-1`` behind its id, and so on."""
    if event_id is None:
        # The time is part of it: without one of their own, equal acts at two times are still two acts.
        content = msgspec.json.encode([payload, shared["event_time_ms"]], order="sorted")
        event_id = hashlib.blake2b(content, digest_size=16).hexdigest()
    event_id = text_of_id(event_id)
    if shared["event_type"] == EventType.SEARCH:
        items = []
    return [
        {**shared, **item, "event_id": f"{event_id}-{place}" if place else event_id}
        for place, item in enumerate(items or [{}])
    ]


def _type_of(name: Any, names: Mapping[str, EventType], whose: str) -> EventType:
    if name is None:
        raise EventRejected("event_type_missing", f"a {whose} event needs its name")
    if not isinstance(name, str):
        raise EventRejected("event_type_not_string", f"the name of a {whose} event must be a string")
    if name not in names:
        raise EventRejected("event_type_unknown", f"of {whose}, these are taken: {', '.join(names)}")
    return names[name]
