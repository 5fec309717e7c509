"""The contract as documents from the types: JSON Schema of events and predictions, AsyncAPI of topics."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from foreclick.settings import Settings
from producers.contract import REASONS
from producers.events import Event
from streamer.predictions import Prediction

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ASYNCAPI: Final = "3.0.0"

Document = dict[str, Any]


def documents() -> Mapping[str, Document]:
    """Return each document by the name of its file in ``docs/schemas``."""
    return {
        "event.schema.json": json_schema(Event),
        "prediction.schema.json": json_schema(Prediction),
        "asyncapi.json": asyncapi(),
    }


def text_of(document: Document) -> str:
    """Return a document as it stands in its file."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def json_schema(kind: type[msgspec.Struct]) -> Document:
    """Return the JSON Schema (draft 2020-12) of a type of record."""
    components = _components([kind], "#/$defs/{name}")
    main = components.pop(kind.__name__)
    return {"$schema": _DIALECT, **main, "$defs": components}


def asyncapi() -> Document:
    """Return the AsyncAPI 3 document of the three topics, seen from foreclick."""
    settings = Settings()
    return {
        "asyncapi": _ASYNCAPI,
        "info": {
            "title": "foreclick",
            "version": "1",
            "description": "A shop's clickstream in, live predictions out. Topic names are the defaults; "
            "the setting topic_prefix changes them.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            "events": _channel(settings.events_topic, "event", "What shoppers did."),
            "predictions": _channel(settings.predictions_topic, "prediction", "What they will do next."),
            "deadLetters": _channel(
                settings.dead_letters_topic, "deadLetter", "Records that are no events, bytes untouched."
            ),
        },
        "operations": {
            "receiveEvents": _operation("receive", "events"),
            "sendPredictions": _operation("send", "predictions"),
            "sendDeadLetters": _operation("send", "deadLetters"),
        },
        "components": {
            "messages": _messages(),
            "schemas": _components([Event, Prediction], "#/components/schemas/{name}"),
        },
    }


# What a type cannot say: only a search may lack an item.
_ITEM_UNLESS_SEARCH: Final[Document] = {
    "if": {"properties": {"event_type": {"const": "search"}}},
    "else": {"required": ["item_id"], "properties": {"item_id": {"type": "string"}}},
}

_KEY: Final[Document] = {
    "kafka": {
        "key": {
            "type": "string",
            "description": "The user_id in UTF-8. Partitioned by murmur2, as Java does.",
        },
        "bindingVersion": "0.5.0",
    }
}


def _components(kinds: list[type[msgspec.Struct]], ref_template: str) -> Document:
    _, components = msgspec.json.schema_components(kinds, ref_template=ref_template)
    made: Document = {name: _on_one_line(schema) for name, schema in components.items()}
    if "Event" in made:
        made["Event"] |= _ITEM_UNLESS_SEARCH
    return made


def _on_one_line(node: Any) -> Any:
    """Return a schema whose descriptions, which come from docstrings, have no line breaks nor indents."""
    if isinstance(node, list):
        return [_on_one_line(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: " ".join(each.replace("``", "`").split())
        if name == "description" and isinstance(each, str)
        else _on_one_line(each)
        for name, each in node.items()
    }


def _channel(address: str, message: str, summary: str) -> Document:
    return {
        "address": address,
        "summary": summary,
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
    }


def _operation(action: str, channel: str) -> Document:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _messages() -> Document:
    text = {"type": "string"}
    headers = {
        "foreclick.reason": {"enum": sorted(REASONS), "description": "Why the record got no prediction."},
        "foreclick.detail": {**text, "description": "More about it; never a value of the record."},
        "foreclick.source": {**text, "description": "topic id - partition - offset of the record."},
    }
    return {
        "event": {"payload": {"$ref": "#/components/schemas/Event"}, "bindings": _KEY},
        "prediction": {"payload": {"$ref": "#/components/schemas/Prediction"}, "bindings": _KEY},
        "deadLetter": {
            "contentType": "application/octet-stream",
            "headers": {"type": "object", "properties": headers, "required": [*headers]},
            "payload": {"description": "The record's own key and value, whatever they are."},
        },
    }
