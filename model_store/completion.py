"""What a network that has been learned is given before it is published, and what it is worth.

Fitted beside it are the companion of the next action, the purchase in the session, and the correction of the
hazard. The companion is weighed, and the hazard corrected, by a network that has not learned the validation
part.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import msgspec

from model_store.batches import Samples
from model_store.churn.fitting import fit_churn
from model_store.companion_fit import fit_companion
from model_store.encoder import Encoder
from model_store.evaluating.served import served_action_scores
from model_store.evaluation import MODEL, Scores, baseline_scores, rows_of_part
from model_store.export import SEARCHED_DIRECTORY, Stage
from model_store.parts import sampled_by_user
from model_store.serving import served_model_in
from model_store.session_purchase_fit import fit_session_purchase
from model_store.validation import score

if TYPE_CHECKING:
    from pathlib import Path

    from model_store.checkpoint import Course
    from model_store.churn.cutoffs import ChurnScores
    from model_store.parts import Part, Split


@dataclass(frozen=True)
class Comparison:
    """Measures by predictor, the network's under `evaluation.MODEL` beside the baselines'.

    On ``validation`` the network and the baselines have learned the fitting part only; on ``test``, which
    is None where the log has no such part, the whole training part. ``churn`` are the measures of the
    hazard on the validation part, as the network gives it and corrected.
    """

    validation: dict[str, Scores]
    test: dict[str, Scores] | None
    churn: dict[str, ChurnScores | None] | None = None


def compared(split: Split, course: Course, stage: Stage, most_baseline_events: int) -> Comparison:
    """Return the measures of the network beside the baselines', each pair on the same events."""
    validation = baseline_scores(sampled_by_user(split.fitting, most_baseline_events), split.validation)
    if course.scores is not None:
        validation = {MODEL: course.scores, **validation}
    test = None
    if split.test is not None:
        samples = Samples.of(split.test, stage.encoder, stage.learner.specification)
        measured = score(stage.learner, samples, rows_of_part(split.test))
        learned = sampled_by_user(split.whole, most_baseline_events)
        test = {MODEL: measured, **baseline_scores(learned, split.test)}
    return Comparison(validation, test)


def with_companion(directory: Path, split: Split, comparison: Comparison, *, refit: bool) -> Comparison:
    """Fit the companion, weighed by a network that has not learned the validation part.

    Return the measures with those of the next action as the pool says it, which is what is served.
    """
    before = directory / SEARCHED_DIRECTORY if refit else directory
    if not before.is_dir():
        return comparison
    whole = split.whole if refit else split.fitting
    searched, encoder = served_model_in(before, "", ""), Encoder.load(directory)
    fitted = fit_companion(searched, split.fitting, split.validation, encoder, whole)
    if fitted is None:
        return comparison
    fitted.searched.save(before)
    fitted.published.save(directory)
    validation = _as_served(before, split.validation, comparison.validation)
    test = comparison.test
    if split.test is not None and test is not None:
        test = _as_served(directory, split.test, test)
    return replace(comparison, validation=validation, test=test)


def _as_served(directory: Path, part: Part, scores: dict[str, Scores]) -> dict[str, Scores]:
    """Return ``scores`` with the next action's measures of the model in ``directory`` as it serves."""
    accuracy, log_loss = served_action_scores(served_model_in(directory, "", ""), part)
    said = msgspec.structs.replace(
        scores[MODEL], next_action_accuracy=accuracy, next_action_log_loss=log_loss
    )
    return {**scores, MODEL: said}


def add_session_purchase(directory: Path, training: Part) -> None:
    """Fit the purchase in the session on what the model in ``directory`` will say when served."""
    fitted = fit_session_purchase(served_model_in(directory, "", ""), training)
    if fitted is not None:
        fitted.save(directory)


def add_churn(directory: Path, split: Split, *, refit: bool) -> dict[str, ChurnScores | None] | None:
    """Fit the hazard's correction by a network that has not learned the validation part; return its worth.

    After a refit that is the searched one, which a model that is not recurrent does not keep.
    """
    before = directory / SEARCHED_DIRECTORY if refit else directory
    if not before.is_dir():
        return None
    fitted = fit_churn(served_model_in(before, "", ""), split.fitting, split.validation, split.whole)
    if fitted is None:
        return None
    if fitted.correction is not None:
        fitted.correction.save(directory)
    return fitted.scores
