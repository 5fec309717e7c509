"""What a training run needs to go on where it was: one file, replaced whole after each epoch."""

from __future__ import annotations

import math
import os
import shutil
import zipfile
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.errors import TrainingError
from model_store.evaluation import Scores
from model_store.validation import Measured

if TYPE_CHECKING:
    from pathlib import Path

SEARCH: Final = "search"
REFIT: Final = "refit"
CHECKPOINT_FILE: Final = "checkpoint.npz"
LEAST_GAIN: Final = 0.002
_RATE_CUT: Final = 0.3

Values = list[npt.NDArray[Any]]


@dataclass(frozen=True)
class EpochReport:
    """One epoch: its mean training loss in nats, and what the network was worth on the validation part."""

    stage: str
    epoch: int
    learning_rate: float
    training_loss: float
    validation: Measured | None
    seconds: float

    def __str__(self) -> str:
        """Say the epoch in one line."""
        start = f"{self.stage} epoch {self.epoch}: loss {self.training_loss:.3f}"
        if self.validation is None:
            return f"{start} ({self.seconds:.1f} s)"
        losses = self.validation.losses
        return (
            f"{start}; validation: item {losses.item:.3f}, action {losses.action:.3f}, "
            f"hazard {losses.hazard:.3f}, recall@20 {self.validation.recall_at_20:.3f} ({self.seconds:.1f} s)"
        )


@dataclass(frozen=True)
class Course:
    """How far a run has come: the epochs behind it, and what they decided.

    ``stage`` is `SEARCH` while the validation part says when to stop, and `REFIT` while the whole training
    part is learned for as many epochs. ``since_gain`` counts the epochs since one that gained enough.
    Once the search has ended, ``heads`` names the fit of each head that was best on the validation part
    (`head_choice`), ``own_offsets`` moves the own items (`own_places`), and ``scores`` are those of the best
    network with both.
    """

    stage: str
    learning_rate: float
    epochs: tuple[EpochReport, ...] = ()
    heads: dict[str, int] = field(default_factory=dict)
    own_offsets: tuple[float, ...] = ()
    scores: Scores | None = None
    best_loss: float | None = None
    best_epoch: int = 0
    since_gain: int = 0

    @property
    def epoch(self) -> int:
        """The number of the next epoch of this stage, from 1."""
        return 1 + sum(report.stage == self.stage for report in self.epochs)

    def after(self, report: EpochReport, rate_cut_below: float = LEAST_GAIN) -> Course:
        """Return the course after one more epoch of the search.

        One that lowers the best loss by a smaller share than ``rate_cut_below`` cuts the learning rate; by
        less than `LEAST_GAIN`, it has gained nothing.
        """
        if report.validation is None:
            raise ValueError("a search needs a validation part")
        loss = report.validation.losses.total
        before = math.inf if self.best_loss is None else self.best_loss
        gains = loss < before * (1 - LEAST_GAIN)
        keeps_rate = loss < before * (1 - rate_cut_below)
        course = replace(
            self,
            epochs=(*self.epochs, report),
            since_gain=0 if gains else self.since_gain + 1,
            learning_rate=self.learning_rate if keeps_rate else self.learning_rate * _RATE_CUT,
        )
        return replace(course, best_loss=loss, best_epoch=report.epoch) if loss < before else course

    def learning_rates(self) -> list[float]:
        """Return the learning rate of each epoch of the search up to the best one."""
        found = [report.learning_rate for report in self.epochs if report.stage == SEARCH]
        return found[: self.best_epoch]


class Saved(NamedTuple):
    """A run as it was: its course, its variables now and at its best epoch, and its generator's state."""

    course: Course
    now: Values
    best: Values
    generator: Any


class Checkpoint:
    """Keeps a run in ``directory``. ``identity`` tells runs over other logs or with other settings apart."""

    def __init__(self, directory: Path, identity: str) -> None:
        self._directory = directory
        self._identity = identity
        self._path = directory / CHECKPOINT_FILE

    def save(self, saved: Saved) -> None:
        """Replace the file by ``saved``, in one step."""
        header = {
            "identity": self._identity,
            "course": saved.course,
            "generator": _with_numbers_as_text(saved.generator),
        }
        arrays: dict[str, Any] = {f"now_{place}": value for place, value in enumerate(saved.now)}
        arrays |= {f"best_{place}": value for place, value in enumerate(saved.best)}
        arrays["header"] = np.frombuffer(msgspec.json.encode(header), np.uint8)
        self._directory.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_suffix(".unfinished")
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._path)

    def load(self) -> Saved | None:
        """Return the run as it was, None when there is no checkpoint.

        Raises `TrainingError` when the checkpoint is of another log or other settings, or broken.
        """
        try:
            with np.load(self._path, allow_pickle=False) as archive:
                header = msgspec.json.decode(archive["header"].tobytes(), type=_Header)
                now = _numbered(archive, "now")
                best = _numbered(archive, "best")
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, msgspec.DecodeError) as error:
            raise TrainingError(f"{self._path} cannot be read: start anew without --resume") from error
        if header.identity != self._identity:
            raise TrainingError(
                f"{self._path} is of a run over another log or with other settings: "
                "start anew without --resume, or name another work directory"
            )
        return Saved(header.course, now, best, _with_text_as_numbers(header.generator))

    @property
    def searched(self) -> Path:
        """Where the network of the search is kept while another learns the whole training part."""
        return self._directory / "searched"

    def remove(self) -> None:
        """Remove the file and the kept network: the run has ended well."""
        self._path.unlink(missing_ok=True)
        shutil.rmtree(self.searched, ignore_errors=True)


class _Header(msgspec.Struct):
    identity: str
    course: Course
    generator: dict[str, Any]


def _numbered(archive: np.lib.npyio.NpzFile, prefix: str) -> Values:
    count = sum(name.startswith(f"{prefix}_") for name in archive.files)
    return [archive[f"{prefix}_{place}"] for place in range(count)]


def _with_numbers_as_text(state: Any) -> Any:
    """Return a generator's state with its 128-bit numbers as text, which JSON cannot hold as numbers."""
    if isinstance(state, dict):
        return {key: _with_numbers_as_text(value) for key, value in state.items()}
    return str(state) if isinstance(state, int) else state


def _with_text_as_numbers(state: Any) -> Any:
    if isinstance(state, dict):
        return {key: _with_text_as_numbers(value) for key, value in state.items()}
    return int(state) if state.isdecimal() else state
