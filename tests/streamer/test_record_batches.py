"""Record batches against aiokafka's own builder and reader."""

from typing import Any

from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from model_store.kernels.text import texts_of
from streamer.record_batches import RecordBatch, record_batches
from streamer.rendered import Predictions

AT_MS = 1_764_000_000_000
PRODUCER = (2**40 + 5, 3, 77)
MANY_BYTES = 2**20

# Lengths around those from which a varint takes one byte more, 2^6 and 2^13.
octets = st.one_of(st.binary(max_size=80), st.integers(8_180, 8_200).map(lambda length: b"x" * length))
pairs = st.lists(st.tuples(octets, octets), min_size=1, max_size=90)


def predictions(records: list[tuple[bytes, bytes]]) -> Predictions:
    return Predictions([key for key, _ in records], texts_of([value for _, value in records]))


def built(batch: RecordBatch) -> bytes:
    batch._set_producer_state(*PRODUCER)
    return bytes(batch._build())


def by_aiokafka(records: list[tuple[bytes, bytes]]) -> bytes:
    builder: Any = DefaultRecordBatchBuilder(2, 0, 0, -1, -1, 0, 2**30)
    for number, (key, value) in enumerate(records):
        assert builder.append(number, AT_MS, key, value, []) is not None
    builder.set_producer_state(*PRODUCER)
    return bytes(builder.build())


def read(batches: list[RecordBatch]) -> list[tuple[bytes, bytes, int, int]]:
    found = []
    for batch in batches:
        reader: Any = MemoryRecords(built(batch))
        while (one := reader.next_batch()) is not None:
            assert one.validate_crc()
            found += [(record.key, record.value, record.offset, record.timestamp) for record in one]
    return found


@given(pairs)
def test_a_batch_is_the_same_as_aiokafkas(records: list[tuple[bytes, bytes]]) -> None:
    (batch,) = record_batches(predictions(records), AT_MS, MANY_BYTES)
    assert batch.record_count() == len(records)
    assert built(batch) == by_aiokafka(records)


@given(pairs, st.integers(61, 20_000))
def test_batches_hold_all_records_in_order_and_few_bytes(
    records: list[tuple[bytes, bytes]], most_bytes: int
) -> None:
    batches = record_batches(predictions(records), AT_MS, most_bytes)
    assert [(key, value) for key, value, _, _ in read(batches)] == records
    offsets = [offset for batch in batches for offset in range(batch.record_count())]
    assert [(offset, at_ms) for _, _, offset, at_ms in read(batches)] == [(one, AT_MS) for one in offsets]
    assert all(len(built(batch)) <= most_bytes for batch in batches if batch.record_count() > 1)


def test_the_header_counts_among_a_batchs_bytes() -> None:
    records = [(b"a", b"x" * 99)] * 2
    # Each record takes 109 bytes, the header 61.
    assert len(record_batches(predictions(records), AT_MS, 278)) == 2


def test_more_records_than_a_byte_counts() -> None:
    records = [(b"user-%d" % number, b"{%d}" % number) for number in range(9_000)]
    (batch,) = record_batches(predictions(records), AT_MS, MANY_BYTES)
    assert built(batch) == by_aiokafka(records)


def test_a_part_of_the_predictions_is_framed_alone() -> None:
    records = [(b"a", b"one"), (b"b", b"two"), (b"c", b"three"), (b"d", b"four")]
    part = predictions(records).part(1, 3)
    assert list(part) == records[1:3]
    assert [pair[:2] for pair in read(record_batches(part, AT_MS, MANY_BYTES))] == records[1:3]


def test_no_predictions_make_no_batch() -> None:
    assert record_batches(predictions([]), AT_MS, MANY_BYTES) == []


def test_a_batch_that_is_sent_again_is_the_same() -> None:
    (batch,) = record_batches(predictions([(b"a", b"one")]), AT_MS, MANY_BYTES)
    assert built(batch) == bytes(batch._build())
