"""Searching for better settings: trials in a file, judged by the validation part alone.

A trial is the search of a training run (`model_store.run`) with other settings; its value is the best loss on
the validation part, in nats. Trial 0 takes the defaults. Optuna proposes (a tree-structured Parzen estimator)
and stops a trial whose loss is above the median of the others' at its epoch. The trials stand in a journal of
JSON lines, which several processes may write at once; nothing in it is unpickled.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import optuna
from optuna.exceptions import ExperimentalWarning
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from model_store.checkpoint import Checkpoint
from model_store.errors import TrainingError
from model_store.run import Run
from model_store.training import prepared, run_identity
from model_store.training_settings import TrainingSettings

if TYPE_CHECKING:
    from pathlib import Path

    from optuna.trial import FrozenTrial, Trial

    from model_store.checkpoint import EpochReport
    from model_store.sequences import EventTable

_LEAST_GAIN: Final = 0.002
_WARM_TRIALS: Final = 4
_WARM_EPOCHS: Final = 1
_ENDED: Final = (TrialState.COMPLETE, TrialState.PRUNED)
_IDENTITY: Final = "identity"
_DEFAULTS: Final = "defaults"
_MOST_FAILED: Final = 5

Told = Callable[[int, float, str], None]  # trials that ended, share of the one under way, a note


@dataclass(frozen=True)
class Dimension:
    """One setting that is searched, from ``least`` to ``most``: whole numbers where it has a ``step``."""

    name: str
    least: float
    most: float
    step: int | None = None
    logarithmic: bool = False

    def suggested(self, trial: Trial) -> float | int:
        """Return the value that ``trial`` is to try."""
        if self.step is None:
            return trial.suggest_float(self.name, self.least, self.most, log=self.logarithmic)
        return trial.suggest_int(
            self.name, int(self.least), int(self.most), step=self.step, log=self.logarithmic
        )


SEARCH_SPACE: Final = (
    Dimension("learning_rate", 5e-4, 1e-2, logarithmic=True),
    Dimension("rate_cut_below", 5e-4, 2e-2, logarithmic=True),
    Dimension("dropout", 0.0, 0.6),
    Dimension("units", 32, 192, step=4),
    Dimension("item_dimensions", 32, 192, step=4),
    Dimension("negatives", 512, 8_192, step=1, logarithmic=True),
    Dimension("most_batch_events", 256, 5_120, step=1, logarithmic=True),
)


@dataclass(frozen=True)
class Tuned:
    """What a search has found so far. ``found`` are the settings of the best trial, by name.

    ``gains`` tells whether they beat the defaults by more than two thousandths of the loss, the share that
    counts as a gain of an epoch, too; ``default_loss`` is None before trial 0 has ended.
    """

    default_loss: float | None
    best_loss: float | None
    best_trial: int | None
    found: dict[str, float | int]
    complete: int
    pruned: int

    @property
    def gains(self) -> bool:
        """Whether the best trial is worth taking."""
        if self.best_loss is None or self.default_loss is None:
            return False
        return self.best_loss < self.default_loss * (1 - _LEAST_GAIN)


class Search:
    """The trials in one file, over one table from one set of ``defaults``. Processes may share the file."""

    def __init__(self, table: EventTable, defaults: TrainingSettings, path: Path, work: Path) -> None:
        self._defaults = replace(defaults, refit=False)
        self._work = work
        self._table = table
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._study = optuna.create_study(
                study_name="foreclick",
                storage=JournalStorage(JournalFileBackend(str(path))),
                sampler=optuna.samplers.TPESampler(
                    seed=defaults.seed, n_startup_trials=_WARM_TRIALS, constant_liar=True
                ),
                pruner=optuna.pruners.MedianPruner(_WARM_TRIALS, _WARM_EPOCHS),
                load_if_exists=True,
            )

    def begin(self) -> None:
        """Make the file ready for new trials: the first process calls this, before any other one runs.

        A trial that a dead process left is given up. Raises `TrainingError` where the file holds the trials
        of another log or of other defaults.
        """
        identity = run_identity(self._table, self._defaults)
        known = self._study.user_attrs.get(_IDENTITY)
        if known not in (None, identity):
            raise TrainingError(
                "the storage holds trials of another log or of other settings: name another --storage"
            )
        self._study.set_user_attr(_IDENTITY, identity)
        for trial in self._trials(TrialState.RUNNING):
            self._study.tell(trial.number, state=TrialState.FAIL)
        if self._default_trial() is None and not self._trials(TrialState.WAITING):
            start = {each.name: getattr(self._defaults, each.name) for each in SEARCH_SPACE}
            self._study.enqueue_trial(start, user_attrs={_DEFAULTS: True})

    def ended(self) -> int:
        """Return how many trials have come to an end, whatever end."""
        return len(self._trials(*_ENDED))

    def take_part(self, trials: int, told: Told) -> None:
        """Run trials until ``trials`` of all processes have ended. Ctrl-C gives the one under way up.

        Settings whose loss is no number make a failed trial. Raises `TrainingError` where the log teaches no
        model, or five trials in a row have failed.
        """
        split, _, _ = prepared(self._table, self._defaults, self._work)
        failed = 0
        while len(self._trials(*_ENDED, TrialState.RUNNING)) < trials:
            trial = self._study.ask()
            found = {each.name: each.suggested(trial) for each in SEARCH_SPACE}
            settings = replace(self._defaults, **found)  # type: ignore[arg-type]
            view = _TrialView(trial, self.ended, told, settings.most_epochs)
            checkpoint = Checkpoint(self._work / f"trial-{trial.number}", f"trial {trial.number}")
            try:
                course, _ = Run(settings, split, checkpoint, view).complete(resume=False)
            except optuna.TrialPruned:
                self._study.tell(trial, state=TrialState.PRUNED)
            except KeyboardInterrupt:
                self._study.tell(trial, state=TrialState.FAIL)
                raise
            except TrainingError:
                self._study.tell(trial, state=TrialState.FAIL)
                failed += 1
                if failed == _MOST_FAILED:
                    raise
            else:
                self._study.tell(trial, course.best_loss)
                failed = 0
            finally:
                checkpoint.remove()
            told(self.ended(), 0.0, f"trial {trial.number} has ended")

    def tuned(self) -> Tuned:
        """Return what has been found so far."""
        complete = self._trials(TrialState.COMPLETE)
        best = min(complete, key=_loss, default=None)
        default = self._default_trial()
        return Tuned(
            default_loss=None if default is None else default.value,
            best_loss=None if best is None else best.value,
            best_trial=None if best is None else best.number,
            found={} if best is None else dict(best.params),
            complete=len(complete),
            pruned=len(self._trials(TrialState.PRUNED)),
        )

    def _default_trial(self) -> FrozenTrial | None:
        """Return the trial of the defaults, if it has been run to its end."""
        for trial in self._trials(TrialState.COMPLETE):
            if trial.user_attrs.get(_DEFAULTS):
                return trial
        return None

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False, states=states)


class _TrialView:
    """Tells a trial's losses to its pruner, and how far it is to whoever watches."""

    def __init__(self, trial: Trial, ended: Callable[[], int], told: Told, most_epochs: int) -> None:
        self._trial = trial
        self._ended = ended
        self._told = told
        self._most_epochs = most_epochs

    def batch(self, stage: str, epoch: int, most_epochs: int, share_done: float) -> None:
        """Nothing: an epoch is soon enough."""

    def epoch(self, report: EpochReport) -> None:
        """Report the epoch's loss. Raises `TrialPruned` where the trial is worse than most."""
        if report.validation is None:
            return
        self._trial.report(report.validation.losses.total, report.epoch)
        share = report.epoch / self._most_epochs
        self._told(self._ended(), min(share, 1.0), f"trial {self._trial.number}, {report}")
        if self._trial.should_prune():
            raise optuna.TrialPruned


def settings_text(found: Mapping[str, float | int]) -> str:
    """Return ``found`` as the TOML that `read_settings` reads."""
    return "".join(f"{name} = {value!r}\n" for name, value in found.items())


def _loss(trial: FrozenTrial) -> float:
    return math.inf if trial.value is None else trial.value
