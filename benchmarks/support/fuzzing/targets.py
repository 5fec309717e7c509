"""What is fuzzed. Each target takes any bytes, and says under which name it accounts for them.

It raises `Unaccounted` for an input that it cannot account for; whatever else it raises is a crash.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

from benchmarks.support.fuzzing import seeds
from benchmarks.support.fuzzing.shapes import json_from
from model_store.windows import ROW_BYTES
from producers.collector import _read
from producers.errors import ProducerError
from producers.events import REASONS, EventRejected, decode_event, encode_event
from producers.readers import FORMATS, ReadEvent, RejectedLine, read_log
from producers.vocabularies import Vocabulary
from streamer.errors import StateUnreadable
from streamer.state import UserState, unpack_state

NOW_MS: Final = 1_760_000_000_000
_WHOLE_FILE: Final = "parquet"  # the one format that is no sequence of lines
_PACKED: Final = b"\x1f\x8b"
_LINE_REASONS: Final = REASONS | {"wrong_column_count"}
_directory = tempfile.TemporaryDirectory(prefix="foreclick-fuzz-")
_scratch_file: Final = Path(_directory.name) / "log"


class Unaccounted(Exception):
    """An input that ended in neither a result nor a refusal that has a name."""


@dataclass(frozen=True)
class Fuzzed:
    """A target, the inputs from which its fuzzing starts, and its share of all inputs."""

    target: Callable[[bytes], str]
    seeds: Callable[[], list[bytes]]
    share: float


def fuzz_decoder(data: bytes) -> str:
    """Decode ``data`` as a record: one byte that chooses the key, then the value, or what decides it."""
    value = _value(data)
    try:
        event = decode_event(value, _key(data[:1], value), NOW_MS)
    except EventRejected as rejected:
        _require(rejected.reason in REASONS, rejected.reason)
        return rejected.reason
    again = decode_event(encode_event(event), event.user_id.encode(), NOW_MS)
    _require(again == event, "an event that is encoded and decoded again is another")
    return "event"


def fuzz_state(data: bytes) -> str:
    """Unpack ``data`` as a user's stored state; what can be unpacked can be packed and unpacked again."""
    try:
        state = unpack_state(data)
    except StateUnreadable:
        return "unreadable"
    _require(len(state.rows) % ROW_BYTES == 0, "a part of a row")
    _require(_parts(unpack_state(state.packed())) == _parts(state), "a state that is packed again is another")
    return "state"


def fuzz_collector(data: bytes) -> str:
    """Read ``data`` as a request: one byte that chooses the vocabulary, then the body, or what decides it."""
    choices = [None, *Vocabulary]
    vocabulary = choices[data[0] % len(choices)] if data else None
    events, rejected = _read(_value(data), vocabulary, NOW_MS)
    msgspec.json.encode(rejected)
    for entry in rejected:
        _require(entry["reason"] in REASONS, entry["reason"])
    if rejected:
        return str(rejected[0]["reason"])
    for event in events:
        again = decode_event(encode_event(event), event.user_id.encode(), NOW_MS)
        _require(again == event, "the worker would read another event")
    return "events" if events else "no events"


def fuzz_readers(data: bytes) -> str:
    """Read ``data`` as a log: one byte that chooses the format, then the file, or what decides it."""
    names = sorted(FORMATS)
    name = names[data[0] % len(names)] if data else names[0]
    content = _value(data)
    _scratch_file.write_bytes(content)
    try:
        lines = list(read_log(_scratch_file, name, now_ms=NOW_MS))
    except ProducerError as error:
        return type(error).__name__
    for line in lines:
        _require(isinstance(line, ReadEvent) or line.reason in _LINE_REASONS, str(line))
    if name != _WHOLE_FILE and not content.startswith(_PACKED):
        _require_each_line(content, {line.line_number for line in lines}, name)
    return "rejected" if any(isinstance(line, RejectedLine) for line in lines) else "events"


TARGETS: Final = {
    "decoder": Fuzzed(fuzz_decoder, seeds.records, 0.4),
    "state record": Fuzzed(fuzz_state, seeds.states, 0.3),
    "collector": Fuzzed(fuzz_collector, seeds.requests, 0.2),
    "readers": Fuzzed(fuzz_readers, seeds.logs, 0.1),
}


def _value(data: bytes) -> bytes:
    """Return the bytes behind the first, or, where that is 128 or more, the JSON that they decide."""
    return json_from(data[1:]) if data[:1] >= b"\x80" else data[1:]


def _key(choice: bytes, value: bytes) -> bytes | None:
    """Return the key that the contract asks for where the value has one; ``choice`` or none otherwise."""
    if choice == b"\0":
        return None
    try:
        return str(msgspec.json.decode(value)["user_id"]).encode()
    except (msgspec.DecodeError, UnicodeError, KeyError, TypeError, RecursionError):
        return choice


def _parts(state: UserState) -> tuple[object, ...]:
    return (state.rows, state.hidden, state.model, dict(state.names), state.partial)


def _require_each_line(content: bytes, accounted: set[int], name: str) -> None:
    """Hold that each line but the first, which may be a header, yields something."""
    lines = content.count(b"\n") + (bool(content) and not content.endswith(b"\n"))
    missing = set(range(2, lines + 1)) - accounted
    _require(not missing, f"{name}: lines {sorted(missing)[:5]} of {lines}")


def _require(holds: bool, what: str) -> None:
    if not holds:
        raise Unaccounted(what)
