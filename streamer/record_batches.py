"""Predictions as Kafka's record batches, all records of one in a compiled pass.

They are of magic 2, uncompressed: https://kafka.apache.org/documentation/#recordbatch. A batch has those
methods of aiokafka's `BatchBuilder` that its producer calls. The builder itself takes records one by one, as
Python's objects.
"""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from aiokafka.record.util import calc_crc32c

from model_store.kernels import compiled_bare, compiled_brief
from model_store.kernels.text import Texts, put_text, texts_of
from streamer.rendered import Predictions

Bytes = npt.NDArray[np.uint8]

_MAGIC: Final = 2
_NO_EPOCH: Final = -1
# Base offset, length, leader epoch, magic, CRC; then what the CRC is of: attributes, last offset delta, first
# and largest timestamp, producer's id and epoch, base sequence, count.
_BEFORE_CRC: Final = struct.Struct(">qiibI")
_BEHIND_CRC: Final = struct.Struct(">hiqqqhii")
_HEADER_BYTES: Final = _BEFORE_CRC.size + _BEHIND_CRC.size
_LENGTH_COUNTS_FROM: Final = 12
# Attributes, timestamp delta and no headers take a byte each; three lengths and a number up to five.
_BYTES_BESIDE: Final = 3
_MOST_BYTES_BESIDE: Final = _BYTES_BESIDE + 4 * 5


class RecordBatch:
    """A finished record batch, but for what its producer knows: its id, epoch and sequence."""

    def __init__(self, octets: Bytes, count: int, timestamp_ms: int) -> None:
        """Take a batch of ``count`` records of ``timestamp_ms``. The header's room in ``octets`` is free."""
        self._octets = octets
        self._count = count
        self._timestamp_ms = timestamp_ms
        self._producer = (-1, -1, 0)

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> memoryview:
        whole = self._octets.data
        last, at_ms = self._count - 1, self._timestamp_ms
        _BEHIND_CRC.pack_into(whole, _BEFORE_CRC.size, 0, last, at_ms, at_ms, *self._producer, self._count)
        checksum = calc_crc32c(whole[_BEFORE_CRC.size :])
        _BEFORE_CRC.pack_into(whole, 0, 0, len(whole) - _LENGTH_COUNTS_FROM, _NO_EPOCH, _MAGIC, checksum)
        return whole

    def record_count(self) -> int:
        """Return how many records it holds."""
        return self._count

    def closed(self) -> bool:
        """Tell that it takes no more records."""
        return True


def record_batches(predictions: Predictions, timestamp_ms: int, most_bytes: int) -> list[RecordBatch]:
    """Return ``predictions`` in batches of ``most_bytes``, or of one larger record."""
    keys, values = texts_of(predictions.keys), predictions.values
    sizes = keys.ends - keys.starts + values.ends - values.starts + _MOST_BYTES_BESIDE
    reached = np.cumsum(sizes)
    batches, first = list[RecordBatch](), 0
    while first < len(sizes):
        before = int(reached[first - 1]) if first else 0
        end = max(first + 1, int(np.searchsorted(reached, before + most_bytes - _HEADER_BYTES, "right")))
        octets = np.empty(_HEADER_BYTES + int(reached[end - 1]) - before, np.uint8)
        written = frame_records(keys, values, first, end, octets, _HEADER_BYTES)
        batches.append(RecordBatch(octets[:written], end - first, timestamp_ms))
        first = end
    return batches


@compiled_brief
def frame_records(keys: Texts, values: Texts, first: Any, end: Any, out: Bytes, at: Any) -> Any:
    """Write records ``first`` to ``end`` into ``out`` from ``at`` on; return where they end."""
    for number in range(first, end):
        key_bytes = keys.ends[number] - keys.starts[number]
        value_bytes = values.ends[number] - values.starts[number]
        lengths = _number_bytes(number - first) + _number_bytes(key_bytes) + _number_bytes(value_bytes)
        at = _put_number(out, at, _BYTES_BESIDE + lengths + key_bytes + value_bytes)
        out[at] = out[at + 1] = 0  # attributes; later than the batch's timestamp by
        at = _put_number(out, at + 2, number - first)
        at = put_text(out, _put_number(out, at, key_bytes), keys, number)
        at = put_text(out, _put_number(out, at, value_bytes), values, number)
        out[at] = 0  # headers
        at += 1
    return at


@compiled_bare
def _number_bytes(number: Any) -> Any:
    """Return how many bytes `_put_number` takes."""
    length = 1
    number >>= 6
    while number:
        length += 1
        number >>= 7
    return length


@compiled_bare
def _put_number(out: Bytes, at: Any, number: Any) -> Any:
    """Put ``number``, not negative, as a zig-zag varint, seven bits a byte from the lowest on."""
    rest = number << 1
    while rest > 0x7F:
        out[at] = 0x80 | (rest & 0x7F)
        rest >>= 7
        at += 1
    out[at] = rest
    return at + 1
