"""The accounts of a run: every record of the events topic is scored, dead-lettered or a counted repeat."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec

from foreclick.checking.predictions import SeenPrediction, diverged_ids, read_prediction
from foreclick.checking.topics import SourcePosition
from producers.contract import CLEANING_REASONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from foreclick.checking.topics import TopicRecord
    from foreclick.checking.window_rule import Ruling

REASON_HEADER: Final = "foreclick.reason"
SOURCE_HEADER: Final = "foreclick.source"


@dataclass(frozen=True)
class Accounts:
    """What became of the records of a run, in records.

    ``misruled`` are source positions that ended elsewhere than the window rule says; ``altered`` are
    dead letters whose key or value is not the source's; ``unreadable`` are records of the two output
    topics that carry no source position. ``disjoint`` and ``inside``: no record has two outcomes, and no
    outcome is of a record that was not published.
    """

    lines: int
    rejected: dict[str, int]
    published: int
    predictions: int
    dead_letters: dict[str, int]
    duplicate_events: int
    missing: int
    republished: int
    duplicated: int
    diverged: int
    misruled: int
    altered: int
    unreadable: int
    disjoint: bool
    inside: bool

    @property
    def equations(self) -> dict[str, bool]:
        """What must hold of any run, whatever crashed in it."""
        accounted = self.predictions + sum(self.dead_letters.values()) + self.duplicate_events
        return {
            "lines_are_rejected_or_published": self.lines == sum(self.rejected.values()) + self.published,
            "published_are_accounted_for": self.published == accounted + self.missing,
            "outcomes_are_disjoint": self.disjoint,
            "outcomes_are_published_positions": self.inside,
            "nothing_missing": self.missing == 0,
            "nothing_duplicated": self.duplicated == 0,
            "nothing_diverged": self.diverged == 0,
            "window_rule_followed": self.misruled == 0,
            "dead_letters_unaltered": self.altered == 0 and self.unreadable == 0,
        }

    @property
    def balanced(self) -> bool:
        """Whether every equation holds."""
        return all(self.equations.values())

    def as_fields(self) -> dict[str, Any]:
        """Return the numbers and the equations under their names, ready for JSON."""
        return {**asdict(self), "equations": self.equations}


@dataclass(frozen=True)
class Outputs:
    """The two output topics, read: predictions by record, dead letters by source position."""

    predictions: tuple[SeenPrediction, ...]
    predicted: frozenset[SourcePosition]
    dead_letters: Mapping[SourcePosition, tuple[TopicRecord, ...]]
    unreadable: int

    @property
    def cleaned(self) -> dict[SourcePosition, str]:
        """The positions that the model's cleaning dropped, with the reason of each."""
        reasons = {position: _reason(letters) for position, letters in self.dead_letters.items()}
        return {position: reason for position, reason in reasons.items() if reason in CLEANING_REASONS}


def read_outputs(predictions: Iterable[TopicRecord], dead_letters: Iterable[TopicRecord]) -> Outputs:
    """Return what the records of the two output topics say, those that say nothing counted."""
    unreadable = 0
    read: list[SeenPrediction] = []
    predicted: set[SourcePosition] = set()
    for record in predictions:
        try:
            prediction = read_prediction(record.value)
            predicted.add(SourcePosition.parse(prediction.prediction_id))
            read.append(prediction)
        except (msgspec.DecodeError, ValueError):
            unreadable += 1
    letters: dict[SourcePosition, tuple[TopicRecord, ...]] = {}
    for record in dead_letters:
        try:
            source = SourcePosition.parse(record.header(SOURCE_HEADER) or "")
            letters[source] = (*letters.get(source, ()), record)
        except ValueError:
            unreadable += 1
    return Outputs(tuple(read), frozenset(predicted), letters, unreadable)


def account(
    events: Sequence[TopicRecord],
    rulings: Sequence[Ruling],
    outputs: Outputs,
    *,
    lines: int,
    rejected: Mapping[str, int],
    duplicated: int = 0,
) -> Accounts:
    """Return the accounts of a run.

    ``rulings`` are what the window rule says of ``events``. ``lines`` and ``rejected`` (reason -> lines)
    are the reader's. ``duplicated`` is how many ids the consumer for downstream programs yielded twice,
    which only that consumer can tell.
    """
    published = {record.position for record in events}
    dead = set(outputs.dead_letters)
    repeated = {ruling.position for ruling in rulings if ruling.outcome == "repeated"} - dead
    accounted = outputs.predicted | dead | repeated
    return Accounts(
        lines=lines,
        rejected=dict(rejected),
        published=len(published),
        predictions=len(outputs.predicted),
        dead_letters=dict(Counter(_reason(letters) for letters in outputs.dead_letters.values())),
        duplicate_events=len(repeated),
        missing=len(published - accounted),
        republished=len(outputs.predictions) - len(outputs.predicted),
        duplicated=duplicated,
        diverged=len(diverged_ids(outputs.predictions)) + _letters_diverged(outputs),
        misruled=_misruled(rulings, outputs),
        altered=_altered(events, outputs.dead_letters),
        unreadable=outputs.unreadable,
        disjoint=len(accounted) == len(outputs.predicted) + len(dead) + len(repeated),
        inside=accounted <= published,
    )


def _letters_diverged(outputs: Outputs) -> int:
    """Count the source positions that were dead-lettered under more than one reason."""
    return sum(
        len({letter.header(REASON_HEADER) for letter in letters}) > 1
        for letters in outputs.dead_letters.values()
    )


def _reason(letters: Sequence[TopicRecord]) -> str:
    return letters[0].header(REASON_HEADER) or "no reason"


def _altered(
    events: Sequence[TopicRecord], dead_letters: Mapping[SourcePosition, Sequence[TopicRecord]]
) -> int:
    sources = {record.position: record for record in events}
    return sum(
        (letter.key, letter.value) != (sources[position].key, sources[position].value)
        for position, letters in dead_letters.items()
        if position in sources
        for letter in letters
    )


def _misruled(rulings: Sequence[Ruling], outputs: Outputs) -> int:
    """Count the positions that are not where the rule puts them; a repeat may be too late as well."""
    wrong = 0
    for ruling in rulings:
        letters = outputs.dead_letters.get(ruling.position)
        scored = ruling.position in outputs.predicted
        if ruling.outcome == "scored":
            wrong += letters is not None
        elif ruling.outcome == "dead":
            wrong += scored or (letters is not None and _reason(letters) != ruling.reason)
        else:
            wrong += scored or (letters is not None and _reason(letters) != "too_late")
    return wrong
