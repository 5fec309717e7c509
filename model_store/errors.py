"""The errors of this room. Each message says what to do about it."""

from __future__ import annotations


class ModelStoreError(Exception):
    """The root of everything that this room raises on purpose."""


class TrainingError(ModelStoreError):
    """The log or the settings do not allow a model to be trained."""


class CleaningError(ModelStoreError):
    """The rules of a cleaning pipeline cannot be read, or do not go together."""


class ModelRefusedError(ModelStoreError):
    """Somebody's own Keras model cannot be served; the message lists each failing check and its cure."""


class ArtifactError(ModelStoreError):
    """A model store does not hold what was asked for, or not as it was written."""


class ModelUnknownError(ArtifactError):
    """There is no model of that name, or no such version of it."""


class ModelNameError(ArtifactError):
    """The name of a model or of an alias holds characters that a directory name must not hold."""


class AliasUnsetError(ArtifactError):
    """The alias was never set for this model."""


class AliasDanglingError(ArtifactError):
    """The alias names a version that the store does not hold."""


class ManifestError(ArtifactError):
    """The manifest is missing or is not a manifest: the version was not written by a model store."""


class FormatTooNewError(ArtifactError):
    """The artifact was written by a newer release than this one."""


class FormatTooOldError(ArtifactError):
    """The artifact was written by an older release, whose format this one does not read."""


class FileAbsentError(ArtifactError):
    """A file that the manifest names, or that every artifact needs, is not there."""


class FileTruncatedError(ArtifactError):
    """A file is not as long as the manifest says."""


class FileCorruptError(ArtifactError):
    """A file does not have the SHA-256 of the manifest, or cannot be read as what it should be."""
