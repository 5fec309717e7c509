"""A run whose topic grew, told as if all its partitions had been there from the beginning.

So the run can be held against an undisturbed one in which nothing grows, and nothing of how the product moves
states is needed to judge it. A user is in one partition there: the last one that the user's key was seen in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from benchmarks.support.faults.states import StateKey, StoredRun
from benchmarks.support.faults.undisturbed import Run
from foreclick.checking.accounts import Outputs
from foreclick.checking.predictions import SeenPrediction
from foreclick.checking.topics import SourcePosition, TopicContents, TopicRecord
from streamer.state import UserState

Places = Mapping[SourcePosition, SourcePosition]
_NOWHERE: Final = 1_000_000  # beyond all partitions: where an outcome goes whose record is not in the topic


@dataclass(frozen=True)
class Grown:
    """A growth as the bench saw it: the end of each old partition while the producers paused."""

    ends: Mapping[int, int]


def as_if_always_there(run: Run, growths: Sequence[Grown]) -> Run:
    """Return ``run`` with each record, outcome and state where it were with all partitions from the start.

    ``growths`` are oldest first. Records keep their order for each key.
    """
    if not growths:
        return run
    ordered = sorted(run.events.records, key=lambda record: _phase(record.position, growths))
    lasts = {record.key: record.position.partition for record in ordered if record.key is not None}
    places, records = dict[SourcePosition, SourcePosition](), list[TopicRecord]()
    filled = Counter[int]()
    for record in ordered:
        old = record.position
        partition = old.partition if record.key is None else lasts[record.key]
        places[old] = SourcePosition(old.topic_id, partition, filled[partition])
        filled[partition] += 1
        records.append(record._replace(position=places[old]))
    users = {(key or b"").decode(errors="surrogateescape"): str(last) for key, last in lasts.items()}
    return Run(
        TopicContents(run.events.topic, run.events.topic_id, tuple(records)),
        _outputs(run.outputs, places),
        StoredRun(run.stored.offsets, _newest_states(run.stored, users)),
    )


def _phase(position: SourcePosition, growths: Sequence[Grown]) -> int:
    """Return how many growths lie before the record at ``position``."""
    partition, offset = position.partition, position.offset
    before = (at for at, grown in enumerate(growths) if offset < grown.ends.get(partition, 0))
    return next(before, len(growths))


def _outputs(outputs: Outputs, places: Places) -> Outputs:
    return Outputs(
        tuple(_moved(prediction, places) for prediction in outputs.predictions),
        frozenset(_place(position, places) for position in outputs.predicted),
        {_place(position, places): letters for position, letters in outputs.dead_letters.items()},
        outputs.unreadable,
    )


def _moved(prediction: SeenPrediction, places: Places) -> SeenPrediction:
    place = _place(SourcePosition.parse(prediction.prediction_id), places)
    return msgspec.structs.replace(prediction, prediction_id=place.text)


def _place(position: SourcePosition, places: Places) -> SourcePosition:
    return places.get(position) or position._replace(partition=_NOWHERE + position.partition)


def _newest_states(stored: StoredRun, users: Mapping[str, str]) -> dict[StateKey, UserState]:
    """Return each user's state in the newest of the user's partitions; older copies only wait to expire.

    Users move to partitions with higher numbers alone.
    """
    ordered = sorted(stored.states.items(), key=lambda item: int(item[0][0]))
    newest = {user: (partition, state) for (partition, user), state in ordered}
    return {(users.get(user, partition), user): state for user, (partition, state) in newest.items()}
