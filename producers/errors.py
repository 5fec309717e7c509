"""What can go wrong in the room that makes events.

ProducerError
├── LogError              a log cannot be read as asked
│   ├── UnknownFormat     no reader has that name
│   ├── LogUnreadable     the file is missing, is no file, or its compression or container is broken
│   ├── UnexpectedColumns the file's header is not the format's
│   ├── MappingError      a column mapping is missing, or names what is not there
│   ├── LogNotSorted      the lines are not in order of time
│   └── SortError         there is no room to sort a log
├── CheckpointError       a replay cannot be resumed from this checkpoint
├── PublishError          the brokers cannot be reached, or refuse the settings
│   ├── BrokersBehind     more events wait for the brokers than are let in
│   └── BrokersUnreachable the brokers did not acknowledge in time, or refused
├── PortUnavailable       the collector cannot listen at its address
└── ImpossibleHistory     a simulated shop cannot have made these events in this order
"""

from __future__ import annotations


class ProducerError(Exception):
    """The base of all errors here; its text names the cure and is shown to the person as it is."""


class LogError(ProducerError):
    """A log cannot be read as asked."""


class UnknownFormat(LogError):
    """No reader has that name."""


class LogUnreadable(LogError):
    """The file is missing, is no file, or its compression or container is broken."""


class UnexpectedColumns(LogError):
    """The file's header is not the format's."""


class MappingError(LogError):
    """A column mapping is missing, or names what is not there."""


class LogNotSorted(LogError):
    """The lines are not in order of time. ``line_number`` is the first line where that shows."""

    def __init__(self, line_number: int) -> None:
        super().__init__(
            f"the log is not in order of time: line {line_number} and its neighbours are earlier than the "
            "lines before them; sort it with --sort, which needs room on disk for two copies of the log"
        )
        self.line_number = line_number


class SortError(LogError):
    """There is no room to sort a log."""


class CheckpointError(ProducerError):
    """A replay cannot be resumed from this checkpoint."""


class PublishError(ProducerError):
    """The brokers cannot be reached, or refuse the settings."""


class BrokersBehind(PublishError):
    """More events wait for the brokers than are let in; try again later."""


class BrokersUnreachable(PublishError):
    """The brokers did not acknowledge in time, or refused."""


class PortUnavailable(ProducerError):
    """The collector cannot listen at the address that it was given."""


class ImpossibleHistory(ProducerError):
    """A simulated shop cannot have made these events in this order."""
