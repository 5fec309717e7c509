"""What can go wrong on the live path. Each error says whose move it is.

A process that ends with one of them exits with its ``exit_code``: `AGAIN` where a later try may work by
itself, 1 where somebody must mend something first.

StreamerError
├── StoreUnavailable   Redis did not answer in time, or refused
├── StaleOwner         the partition's offset in Redis is not the one that a batch was built on
├── StateUnreadable    a stored state that this version cannot read
├── PublishFailed      the brokers did not acknowledge a record in time
├── BrokerUnavailable  the brokers cannot be reached, or refuse
├── NoProgress         there is work, and nothing of it gets done
├── PortTaken          the port of the worker's metrics cannot be listened on
├── TopicMissing       a topic that the worker needs does not exist
├── TopicReplaced      the events topic was deleted and made anew under the worker
├── ReplayFailed       dead letters could not be put back
└── ModelUnavailable   there is no model that can be served
"""

from __future__ import annotations

from typing import ClassVar, Final

AGAIN: Final = 75  # EX_TEMPFAIL of sysexits.h


class StreamerError(Exception):
    """Base of every error that the live path raises itself."""

    exit_code: ClassVar[int] = 1


class StoreUnavailable(StreamerError):
    """Redis did not answer in time, or refused. Transient: the batch is tried again."""

    exit_code = AGAIN


class StaleOwner(StreamerError):
    """The partition's offset in Redis is not the one that a batch was built on.

    Another worker owns the partition, or Redis lost its newest writes. What is in flight for
    the partition is dropped, and reading goes on from ``actual`` (None: from the beginning).
    """

    exit_code = AGAIN

    def __init__(self, expected: int | None, actual: int | None) -> None:
        super().__init__(f"the partition's state is at offset {actual}, not at {expected}")
        self.expected = expected
        self.actual = actual


class AncestorBehind(StreamerError):
    """States that users left in another partition, before partitions were added, are not all written.

    What is in flight for the partition is dropped, and it is held until they are.
    """

    exit_code = AGAIN

    def __init__(self, ancestor: int, written: int | None, end: int) -> None:
        super().__init__(
            f"users come from partition {ancestor}, which is written up to {written} and not to {end}"
        )


class BatchMissed(StreamerError):
    """Records of a partition were fetched and did not arrive: the fetch was broken off, or came too early.

    What is in flight for the partition is dropped, and they are read again.
    """

    exit_code = AGAIN

    def __init__(self, expected: int, fetched_from: int) -> None:
        super().__init__(f"the records from {expected} to {fetched_from} were fetched and did not arrive")


class StateUnreadable(StreamerError):
    """A stored state that this version cannot read. The user's history must be rebuilt."""


class PublishFailed(StreamerError):
    """The brokers did not acknowledge a record in time. Nothing that depends on it was written."""

    exit_code = AGAIN


class BrokerUnavailable(StreamerError):
    """The brokers cannot be reached, or refuse."""

    exit_code = AGAIN


class NoProgress(StreamerError):
    """There is work, and nothing of it gets done. A new process may get past what holds this one."""

    exit_code = AGAIN


class PortTaken(StreamerError):
    """The port of the worker's metrics cannot be listened on. ``--web-port 0`` takes any free one."""


class TopicMissing(StreamerError):
    """A topic that the worker needs does not exist. `foreclick topics create` makes it."""


class TopicReplaced(StreamerError):
    """The events topic was deleted and made anew. A worker that starts now reads the new one."""

    exit_code = AGAIN


class ReplayFailed(StreamerError):
    """Dead letters could not be put back. What was is not put back again by the next try."""


class ModelUnavailable(StreamerError):
    """There is no model that can be served. `foreclick train` makes one."""
