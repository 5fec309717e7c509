"""Whether a measured run kept its promises: the demo's own checker over the topics that the run has left.

It runs as a program of its own, so that TensorFlow and the checker's memory stay out of the benchmark.
"""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from benchmarks.support.prefill import Fill, partition_of
from foreclick.checking.accounts import account, read_outputs
from foreclick.checking.parity import parity
from foreclick.checking.predictions import SeenPrediction, diverged_ids
from foreclick.checking.topics import SourcePosition, TopicRecord, read_topic
from foreclick.checking.window_rule import WindowRule, rule_on
from producers.events import encode_event

if TYPE_CHECKING:
    from foreclick.settings import Settings

PATIENCE_S = 600.0


class Checked(msgspec.Struct, frozen=True):
    """What to check. ``artifacts`` are the directories of the models that predicted, by version.

    Parity is taken over the predictions of ``sample_users`` users. ``samples`` is a directory in which each
    check leaves that sample, to hold the later runs over the same events against the earlier ones.
    """

    kafka: str
    topic_prefix: str
    partitions: int
    allowed_lateness_ms: int
    window_size: int
    artifacts: dict[str, Path]
    sample_users: int
    samples: Path | None = None
    fill: Fill | None = None


class Integrity(msgspec.Struct, frozen=True):
    """``diverged`` are ids under which two predictions differ, in this run or between runs.

    ``parity_max_abs_diff`` is over the ``compared`` predictions, against the saved Keras model. ``equations``
    are the demo's.
    """

    missing: int
    diverged: int
    parity_max_abs_diff: float
    compared: int
    equations: dict[str, bool]


@dataclass(frozen=True)
class Check:
    """How to check the runs of one benchmark."""

    settings: Settings
    window_size: int
    artifacts: dict[str, Path]
    sample_users: int
    samples: Path | None = None
    fill: Fill | None = None

    def __call__(self) -> Integrity:
        """Check what stands in the topics now. Raises subprocess.CalledProcessError when that fails."""
        settings = self.settings
        checked = Checked(
            kafka=settings.kafka,
            topic_prefix=settings.topic_prefix,
            partitions=settings.partitions,
            allowed_lateness_ms=settings.allowed_lateness_ms,
            window_size=self.window_size,
            artifacts=self.artifacts,
            sample_users=self.sample_users,
            samples=self.samples,
            fill=self.fill,
        )
        said = subprocess.run(
            [sys.executable, "-m", "benchmarks.support.integrity"],
            input=msgspec.json.encode(checked, enc_hook=str),
            stdout=subprocess.PIPE,
            check=True,
        ).stdout
        return msgspec.json.decode(said.splitlines()[-1], type=Integrity)


def worst(found: list[Integrity]) -> dict[str, Any]:
    """Return the keys that every benchmark reports, over all its checks."""
    return {
        "missing": sum(one.missing for one in found),
        "diverged": sum(one.diverged for one in found),
        "parity_max_abs_diff": float(np.max([one.parity_max_abs_diff for one in found])),
        "parity_compared": sum(one.compared for one in found),
        "equations_hold": all(all(one.equations.values()) for one in found),
    }


def check(checked: Checked) -> Integrity:
    """Read the topics whole, account for each record, and hold a sample against Keras."""
    events = _records(checked, "events")
    outputs = read_outputs(_records(checked, "predictions"), _records(checked, "dead-letters"))
    rule = WindowRule(checked.window_size, checked.allowed_lateness_ms)
    accounts = account(events, rule_on(events, rule), outputs, lines=len(events), rejected={})
    users = _sample_users(events, checked.sample_users)
    sample = [one for one in outputs.predictions if one.user_id in users]
    rulings = rule_on([*_fill_records(checked, users), *_of_users(events, users)], rule)
    by_version = {
        version: [one for one in sample if one.model.version == version] for version in checked.artifacts
    }
    found = [parity(rulings, by_version[version], place) for version, place in checked.artifacts.items()]
    return Integrity(
        missing=accounts.missing,
        diverged=accounts.diverged + _diverged_between_runs(checked.samples, sample),
        parity_max_abs_diff=max([one.max_abs_diff for one in found if one.compared], key=_nan_first),
        compared=sum(one.compared for one in found),
        equations=accounts.equations,
    )


def _records(checked: Checked, name: str) -> tuple[TopicRecord, ...]:
    return read_topic(checked.kafka, f"{checked.topic_prefix}.{name}", patience_s=PATIENCE_S).records


def _sample_users(events: tuple[TopicRecord, ...], count: int) -> set[str]:
    names = sorted({(record.key or b"").decode() for record in events})
    chosen = np.random.default_rng(0).permutation(len(names))[:count]
    return {names[place] for place in chosen.tolist()}


def _of_users(events: tuple[TopicRecord, ...], users: set[str]) -> list[TopicRecord]:
    return [record for record in events if (record.key or b"").decode() in users]


def _fill_records(checked: Checked, users: set[str]) -> list[TopicRecord]:
    """Return the past that ``users`` got without scoring, as if it had stood in the topic."""
    fill = checked.fill
    if fill is None:
        return []
    windows = fill.windows()
    return [
        TopicRecord(
            SourcePosition("fill", partition_of(user.encode(), checked.partitions), place),
            event.event_time_ms,
            user.encode(),
            encode_event(event),
        )
        for user in sorted(users)
        for place, event in enumerate(fill.of_user(user, windows))
    ]


def _diverged_between_runs(samples: Path | None, sample: list[SeenPrediction]) -> int:
    """Count the ids of ``sample`` under which an earlier run said something else; then keep the sample."""
    if samples is None:
        return 0
    before = [
        prediction
        for path in sorted(samples.glob("*.json"))
        for prediction in msgspec.json.decode(path.read_bytes(), type=list[SeenPrediction])
    ]
    number = len(list(samples.glob("*.json")))
    (samples / f"{number:03}.json").write_bytes(msgspec.json.encode(sample))
    return len(diverged_ids([*before, *sample])) if before else 0


def _nan_first(difference: float) -> float:
    return math.inf if math.isnan(difference) else difference


def _path(kind: type, value: Any) -> Any:
    return kind(value)


if __name__ == "__main__":
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=Checked, dec_hook=_path)
    print(msgspec.json.encode(check(given)).decode())
