"""Inputs from which fuzzing starts: good ones, and those that are known to be bad."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from model_store.windows import item_fingerprint, pack_row
from producers.events import Event, EventType, encode_event
from producers.readers import FORMATS
from producers.simulator.malformed import MALFORMED
from producers.vocabularies import Vocabulary
from streamer.state import UserState

_LONGEST_BYTES: Final = 2_000
_SHAPED: Final = bytes([200, 5, 0, 1, 1, 1, 2, 3, 3, 29, 4, 2])
_EVENT: Final = Event(
    event_id="e1",
    user_id="u1",
    event_type=EventType.CART,
    event_time_ms=1_750_000_000_000,
    item_id="i1",
    session_id="s1",
    category="hats",
    brand="b",
    query="q",
    device="phone",
    source="email",
    price=9.5,
    quantity=2,
)
_SNOWPLOW: Final = "com_snowplowanalytics_snowplow_ecommerce"
_OTHER_VOCABULARIES: Final[tuple[dict[str, Any], ...]] = (
    {
        "client_id": "c",
        "events": [{"name": "view_item", "params": {"items": [{"item_id": "i", "price": 1}]}}],
    },
    {
        "batch": [
            {
                "type": "track",
                "event": "Product Viewed",
                "userId": "u",
                "messageId": "m",
                "timestamp": "2025-06-15T12:00:00Z",
                "properties": {"product_id": "i", "price": 1.5},
            }
        ]
    },
    {
        "event_id": "e",
        "domain_userid": "u",
        "collector_tstamp": "2025-06-15T12:00:00Z",
        f"unstruct_event_{_SNOWPLOW}_snowplow_ecommerce_action_1": {"type": "product_view"},
        f"contexts_{_SNOWPLOW}_product_1": [{"id": "i", "price": 2}],
    },
)
_LOGS: Final = {
    "rees46": b"event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
    b"2019-10-01 00:00:00 UTC,view,1,2,a.b,c,3.5,4,s\n",
    "retailrocket": b"timestamp,visitorid,event,itemid,transactionid\n1433221332117,257597,view,355908,\n",
    "taobao": b"1,2268318,2520377,pv,1511544070\n",
    "otto": b'{"session":1,"events":[{"aid":1,"ts":1659304800025,"type":"clicks"}]}\n',
    "yoochoose-clicks": b"1,2014-04-07T10:51:09.277Z,214536502,0\n",
    "yoochoose-buys": b"420374,2014-04-06T18:44:58.314Z,214537888,12462,1\n",
    "alibaba2014": b"10944750,13451,0,06/04\n",
    "sessions": b"1 2 3\n4 5\n",
    "csv": b"event_id,user_id,event_type,event_time_ms,item_id\ne,u,view,1750000000000,i\n",
    "jsonl": encode_event(_EVENT) + b"\n",
}


def records() -> list[bytes]:
    """Return values of records, each behind a byte for its key."""
    values = [encode_event(_EVENT), *(way.record(_EVENT)[1] or b"" for way in MALFORMED)]
    return [*(b"k" + value for value in values if len(value) < _LONGEST_BYTES), _SHAPED]


def states() -> list[bytes]:
    """Return stored states: empty, with a window, with all that a state can have."""
    rows = b"".join(pack_row(msgspec.structs.replace(_EVENT, event_id=f"e{n}")) for n in range(3))
    hidden = bytes(16)
    names = {item_fingerprint("a new item"): "a new item"}
    made = (
        UserState(),
        UserState(rows),
        UserState(rows, hidden, 7),
        UserState(rows, hidden, 7, names, partial=True),
    )
    return [state.packed() for state in made]


def requests() -> list[bytes]:
    """Return bodies of requests in each vocabulary, behind a byte that names one."""
    value = encode_event(_EVENT)
    bodies = [value, b"[" + value + b"," + value + b"]", b'{"events":[' + value + b"]}"]
    bodies += [msgspec.json.encode(body) for body in _OTHER_VOCABULARIES]
    return [*(bytes([choice]) + body for body in bodies for choice in range(1 + len(Vocabulary))), _SHAPED]


def logs() -> list[bytes]:
    """Return a short log in each format, behind the format's place."""
    return [bytes([place]) + _LOGS.get(name, b"PAR1") for place, name in enumerate(sorted(FORMATS))]
