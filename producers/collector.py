"""The HTTP collector: events in, answered only when the brokers have them.

`POST /events` takes one event, an array of them, or an array under ``events`` (or ``batch``), in the
contract's names or in those of GA4, Segment or Snowplow. Which of them is seen from each event, or
said by the query ``vocabulary`` or the header ``X-Foreclick-Vocabulary``.

A request is taken whole or not at all: when any event is refused, none is published.

- 200 ``{"accepted": n}``: the brokers have acknowledged all n events.
- 400 ``{"accepted": 0, "rejected": [{"index", "reason", "detail"}]}``: one entry for each bad event by its
  place in the request; ``index`` null is the body itself.
- 403: the request comes from a web page (it has an ``Origin``); other sites' pages may not publish here.
- 413: the body or the batch is too large; send it in parts.
- 429 with ``Retry-After``: the brokers are behind; nothing was published.
- 503 with ``Retry-After``: the brokers did not acknowledge in time. Some events may have arrived: send the
  same events again, with the same ids, and the repeats are dropped downstream.

`GET /health` answers 200 when a broker answers, else 503.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from aiohttp import web

from producers.acknowledged import AcknowledgedPublisher
from producers.clock import Clock
from producers.contract import MAX_DEPTH, EventRejected
from producers.diagnosis import diagnose, too_deep
from producers.errors import BrokersBehind, BrokersUnreachable
from producers.events import Event
from producers.vocabularies import Vocabulary, events_of, payloads_of

DEFAULT_MAX_BODY_BYTES: Final = 1_048_576
VOCABULARY_HEADER: Final = "X-Foreclick-Vocabulary"
_RETRY_AFTER_S: Final = 1
_HEALTH_TIMEOUT_S: Final = 2.0


def collector_app(
    publisher: AcknowledgedPublisher, clock: Clock, max_body_bytes: int = DEFAULT_MAX_BODY_BYTES
) -> web.Application:
    """Return the collector's application. ``clock`` gives the times of receipt."""
    collector = _Collector(publisher, clock)
    app = web.Application(client_max_size=max_body_bytes)
    app.router.add_post("/events", collector.events)
    app.router.add_get("/health", collector.health)
    return app


class _Collector:
    def __init__(self, publisher: AcknowledgedPublisher, clock: Clock) -> None:
        self._publisher, self._clock = publisher, clock

    async def events(self, request: web.Request) -> web.Response:
        if "Origin" in request.headers:
            return _refusal(403, "web pages may not publish here; send events from your own server")
        received_ms = int(self._clock.now_ms())
        try:
            vocabulary = _vocabulary(request)
            body = await request.read()
        except ValueError:
            return _refusal(400, f"vocabulary must be one of {', '.join(Vocabulary)}")
        except web.HTTPRequestEntityTooLarge:
            return _refusal(413, "the body is too large; send the events in several requests")
        events, rejected = _read(body, vocabulary, received_ms)
        if rejected:
            return web.json_response({"accepted": 0, "rejected": rejected}, status=400)
        if len(events) > self._publisher.most_in_flight:
            return _refusal(413, f"send at most {self._publisher.most_in_flight} events in a request")
        return await self._publish(events, received_ms)

    async def _publish(self, events: list[Event], received_ms: int) -> web.Response:
        try:
            await self._publisher.publish(events, received_ms)
        except BrokersBehind as error:
            return _refusal(429, str(error), retry=True)
        except BrokersUnreachable as error:
            return _refusal(503, str(error), retry=True)
        return web.json_response({"accepted": len(events)})

    async def health(self, _request: web.Request) -> web.Response:
        reachable = await self._publisher.reachable(_HEALTH_TIMEOUT_S)
        status = {
            "kafka": "reachable" if reachable else "unreachable",
            "in_flight": self._publisher.in_flight,
        }
        return web.json_response(status, status=200 if reachable else 503)


def _vocabulary(request: web.Request) -> Vocabulary | None:
    """Return the vocabulary that the request names, None for none. Raises `ValueError` for an unknown one."""
    name = request.query.get("vocabulary") or request.headers.get(VOCABULARY_HEADER)
    return None if name is None or name == "auto" else Vocabulary(name)


def _read(
    body: bytes, vocabulary: Vocabulary | None, received_ms: int
) -> tuple[list[Event], list[dict[str, Any]]]:
    """Return the body's events, and what is wrong with those that are none."""
    events: list[Event] = []
    rejected = []
    try:
        payloads = payloads_of(_decoded(body))
    except EventRejected as refusal:
        return [], [{"index": None, "reason": refusal.reason, "detail": refusal.detail}]
    for index, payload in enumerate(payloads):
        try:
            if not isinstance(payload, dict):
                raise EventRejected("not_an_object", "an event must be a JSON object")
            events += events_of(payload, received_ms, vocabulary)
        except EventRejected as refusal:
            rejected.append({"index": index, "reason": refusal.reason, "detail": refusal.detail})
    return events, rejected


def _decoded(body: bytes) -> Any:
    """Return the body's JSON. Raises `EventRejected` when it is none."""
    if too_deep(body):
        raise EventRejected("nested_too_deeply", f"objects and arrays nest at most {MAX_DEPTH} deep")
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise diagnose(body, str(error)) from None


def _refusal(status: int, error: str, *, retry: bool = False) -> web.Response:
    headers = {"Retry-After": str(_RETRY_AFTER_S)} if retry else None
    return web.json_response({"accepted": 0, "error": error}, status=status, headers=headers)
