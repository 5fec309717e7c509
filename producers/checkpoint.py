"""Where a replay stands, kept in a file so that it can be resumed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from producers.errors import CheckpointError


class Position(msgspec.Struct, frozen=True):
    """All lines of the loops before ``loop`` and the first ``lines`` of it are done and acknowledged."""

    loop: int = 0
    lines: int = 0


START: Final = Position()


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A replay's position, and what a resumed replay must have in common with it.

    ``replay`` describes the log and the options that decide which events come in which order, and
    ``shift_ms`` is added to their times: the same event is sent with the same content before and after.
    """

    replay: str
    shift_ms: int
    position: Position


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write the checkpoint so that a crash leaves the old one or the new one. Raises `CheckpointError`."""
    draft = path.with_name(path.name + ".draft")
    try:
        with draft.open("wb") as file:
            file.write(msgspec.json.encode(checkpoint))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError as error:
        raise CheckpointError(
            f"cannot write the checkpoint {path}: {error.strerror}; name a file in a directory with room"
        ) from error


def load_checkpoint(path: Path, replay: str) -> Checkpoint:
    """Read the checkpoint of ``replay``. Raises `CheckpointError` if there is none or it is another's."""
    try:
        checkpoint = msgspec.json.decode(path.read_bytes(), type=Checkpoint)
    except OSError as error:
        raise CheckpointError(
            f"cannot read the checkpoint {path}: {error.strerror}; start without --resume"
        ) from error
    except msgspec.DecodeError as error:
        raise CheckpointError(f"{path} is no checkpoint: {error}; start without --resume") from error
    if checkpoint.replay != replay:
        raise CheckpointError(
            f"the checkpoint {path} is of another replay: the log or the options that choose and order its "
            "events differ; give the same ones, or another --checkpoint"
        )
    return checkpoint
