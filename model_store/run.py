"""One training run, stage by stage: the search for the number of epochs, and the refit."""

from __future__ import annotations

import math
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

import msgspec
import numpy as np

from model_store.batches import Samples
from model_store.checkpoint import REFIT, SEARCH, Checkpoint, Course, EpochReport, Saved, Values
from model_store.chunks import counted, stretches
from model_store.distribution import ALONE
from model_store.encoder import Encoder
from model_store.errors import TrainingError
from model_store.evaluation import rows_of_part
from model_store.export import Stage, export_searched
from model_store.head_choice import choose_heads, refit_heads, start_heads
from model_store.learner import Learner
from model_store.networks.specifying import specify
from model_store.own_places import fit_place_offsets
from model_store.parts import Part, Split, time_at_share
from model_store.training_settings import CHURN_HORIZONS_MS, TrainingSettings
from model_store.validation import measure, score
from model_store.windows import row_items

if TYPE_CHECKING:
    from model_store.distribution import Together
    from model_store.sequences import EventTable

_HIDDEN_ITEM_SHARE: Final = (0.02, 0.5)
_STEPS_AN_EPOCH: Final = 64
_LEAST_BATCH_EVENTS: Final = 64


class Progress(Protocol):
    """Is told how a run goes on."""

    def batch(self, stage: str, epoch: int, most_epochs: int, share_done: float) -> None:
        """A batch of an epoch was learned; ``share_done`` is of that epoch. An index is built in one."""

    def epoch(self, report: EpochReport) -> None:
        """An epoch ended."""


class Run:
    """Trains on the parts of ``split``; ``progress`` is told of each batch and epoch."""

    def __init__(
        self,
        settings: TrainingSettings,
        split: Split,
        checkpoint: Checkpoint,
        progress: Progress,
        together: Together = ALONE,
    ) -> None:
        self._settings = settings
        self._together = together
        self._split = split
        self._checkpoint = checkpoint
        self._progress = progress

    def complete(self, *, resume: bool) -> tuple[Course, Stage]:
        """Return the finished course, and the stage whose network is to be published."""
        saved = self._checkpoint.load() if resume else None
        course = saved.course if saved else Course(SEARCH, self._settings.learning_rate)
        if course.stage == SEARCH:
            stage = self._stage(self._split.fitting, saved)
            course = self._search(stage, course, saved.best if saved else [])
            if not self._settings.refit:
                return course, stage
            if self._together.number == 0 and stage.learner.specification.recurrent:
                export_searched(self._checkpoint.searched, stage)
            course, saved = replace(course, stage=REFIT), None
        stage = self._stage(self._split.whole, saved)
        return self._refit(stage, course), stage

    def _stage(self, part: Part, saved: Saved | None) -> Stage:
        """Return a fresh network over ``part``, or the one that was saved in this stage."""
        settings = self._settings
        encoder = Encoder.fit(
            part.table.rows,
            part.table.item_ids,
            part.table.category_names,
            min_count=settings.least_item_count,
            timed=settings.timed,
            feature_groups=settings.feature_groups,
        )
        specification = specify(
            encoder,
            network=settings.network,
            units=settings.units,
            item_dimensions=settings.item_dimensions,
            window_size=settings.window_size,
            churn_horizon_ms=_churn_horizon_ms(self._split.whole.table, settings),
        )
        learner = Learner(
            specification,
            encoder,
            dropout=settings.dropout,
            hidden_item_share=self._hidden_item_share(),
            sample_size=settings.negatives,
            seed=settings.seed,
            action_weight=settings.action_weight_of(encoder.statistics.events),
            together=self._together,
        )
        samples = Samples.of(part, encoder, specification)
        if saved is None:
            start_heads(learner, samples)
        else:
            learner.set_values(saved.now)
            learner.generator.bit_generator.state = saved.generator
        return Stage(learner, encoder, samples)

    def _search(self, stage: Stage, course: Course, best: Values) -> Course:
        """Learn until the validation part gains no more, and leave the network as it was at its best."""
        learner, settings = stage.learner, self._settings
        validation = Samples.of(self._split.validation, stage.encoder, learner.specification)
        while course.since_gain < settings.patience and course.epoch <= settings.most_epochs:
            begun_s = time.monotonic()
            loss = self._learn_epoch(stage, course, course.learning_rate, settings.most_epochs)
            measured = measure(learner, validation, settings.validation_events)
            if not math.isfinite(measured.losses.total):
                raise TrainingError("the loss is not finite any more: train with a lower --learning-rate")
            report = EpochReport(
                stage=SEARCH,
                epoch=course.epoch,
                learning_rate=course.learning_rate,
                training_loss=loss,
                validation=measured,
                seconds=time.monotonic() - begun_s,
            )
            course = self._agreed(course.after(report, settings.rate_cut_below))
            if course.best_epoch == report.epoch:
                best = learner.values()
            self._ended_epoch(course, learner, best)
        learner.set_values(best)
        heads = choose_heads(learner, stage.samples, validation, settings.validation_events)
        learner.own_offsets = fit_place_offsets(learner, validation, settings.validation_events)
        scores = score(learner, validation, rows_of_part(self._split.validation))
        offsets = tuple(learner.own_offsets.tolist())
        return self._agreed(replace(course, heads=heads, own_offsets=offsets, scores=scores))

    def _refit(self, stage: Stage, course: Course) -> Course:
        rates = course.learning_rates()
        while course.epoch <= len(rates):
            begun_s = time.monotonic()
            rate = rates[course.epoch - 1]
            report = EpochReport(
                stage=REFIT,
                epoch=course.epoch,
                learning_rate=rate,
                training_loss=self._learn_epoch(stage, course, rate, len(rates)),
                validation=None,
                seconds=time.monotonic() - begun_s,
            )
            course = replace(course, epochs=(*course.epochs, report))
            self._ended_epoch(course, stage.learner, [])
        refit_heads(stage.learner, stage.samples, course.heads)
        stage.learner.own_offsets = np.array(course.own_offsets, np.float32)
        return course

    def _hidden_item_share(self) -> float:
        """Return the share of items to hide, so that training meets as many unknown items as serving will."""
        if self._settings.hidden_item_share is not None:
            return self._settings.hidden_item_share
        fitting, validation = self._split.fitting.table, self._split.validation
        asked = row_items(validation.table.rows[validation.scored])
        known, _ = counted(map(row_items, stretches(fitting.rows)))
        unknown = ~np.isin(asked, known)
        least, most = _HIDDEN_ITEM_SHARE
        return min(max(float(unknown.mean()), least), most)

    def _learn_epoch(self, stage: Stage, course: Course, rate: float, most_epochs: int) -> float:
        """Learn every window once and return the mean loss of the batches."""
        learner, samples = stage.learner, stage.samples
        groups = samples.shuffled(self._batch_events(samples), learner.generator)
        total = 0.0
        for done, group in enumerate(groups, 1):
            total += learner.learn(samples.batch(group), rate).total
            self._progress.batch(course.stage, course.epoch, most_epochs, done / len(groups))
        return total / max(len(groups), 1)

    def _agreed(self, course: Course) -> Course:
        """Return the course of process 0: a measure that differs in its last digit must part nobody's way."""
        return msgspec.json.decode(self._together.agreed(msgspec.json.encode(course)), type=Course)

    def _ended_epoch(self, course: Course, learner: Learner, best: Values) -> None:
        if self._together.number == 0:
            state = learner.generator.bit_generator.state
            self._checkpoint.save(Saved(course, learner.values(), best, state))
        self._progress.epoch(course.epochs[-1])

    def _batch_events(self, samples: Samples) -> int:
        if self._settings.batch_events is not None:
            return self._settings.batch_events
        wanted = max(samples.scored_events // _STEPS_AN_EPOCH, _LEAST_BATCH_EVENTS)
        return min(wanted, self._settings.most_batch_events)


def _churn_horizon_ms(table: EventTable, settings: TrainingSettings) -> int:
    if settings.churn_horizon_ms is not None:
        return settings.churn_horizon_ms
    times_ms = table.times_ms
    quarter_ms = (time_at_share(times_ms, 1.0) - time_at_share(times_ms, 0.0)) / 4
    fitting = [horizon_ms for horizon_ms in CHURN_HORIZONS_MS if horizon_ms <= quarter_ms]
    return max(fitting, default=CHURN_HORIZONS_MS[0])
