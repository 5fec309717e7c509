"""What can go wrong in the room that a person types into.

ForeclickError
├── SettingsError        a setting is unknown, malformed or out of range
├── AddressMissing       a worker was started without the address of a server that it needs
├── TopicsError          the topics cannot be made, or have other partitions than the settings say
├── CheckError           a run could not be checked; it says nothing about the run
├── RebuildError         states cannot be built anew as things are
├── DemoError            the demo could not be run to its end
├── EvaluationError      there is nothing to measure, or the report cannot be written
└── ServiceError         an embedded Kafka or Valkey cannot be started or reached
    ├── DownloadMissing  a file that `foreclick services fetch` brings is not there, or is not the pinned one
    ├── PortTaken        another program listens where the service should
    ├── DiskFull         the data directory's disk has no room
    └── ForeignData      the data directory holds something that is not the service's
"""

from __future__ import annotations


class ForeclickError(Exception):
    """The base of all errors here; its text names the cure and is shown to the person as it is."""


class SettingsError(ForeclickError):
    """A setting is unknown, malformed or out of range."""


class AddressMissing(ForeclickError):
    """A worker was started without the address of a server that it needs."""


class TopicsError(ForeclickError):
    """The topics cannot be made, or are there with other partitions than the settings say."""


class CheckError(ForeclickError):
    """A run could not be checked; it says nothing about the run."""


class RebuildError(ForeclickError):
    """States cannot be built anew as things are."""


class DemoError(ForeclickError):
    """The demo could not be run to its end."""


class EvaluationError(ForeclickError):
    """There is nothing to measure, or the report cannot be written."""


class ServiceError(ForeclickError):
    """An embedded service cannot be started, or a server cannot be reached."""


class DownloadMissing(ServiceError):
    """A file that `foreclick services fetch` brings is not there, or is not the pinned one."""


class PortTaken(ServiceError):
    """Another program listens on the port that was asked for."""


class DiskFull(ServiceError):
    """The disk under the data directory has no room left."""


class ForeignData(ServiceError):
    """The data directory holds something that the service did not put there."""
