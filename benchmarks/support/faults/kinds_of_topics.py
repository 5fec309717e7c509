"""The fault of a topic that grows: partitions are added under its workers while the producer pauses."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Final

from benchmarks.support.faults.settling import Grown
from benchmarks.support.faults.stage import NoEffect, Stage
from foreclick.demo.worker_process import worker_environment

_MOST_PARTITIONS: Final = 16
_GROW_TIMEOUT_S: Final = 120.0


def partitions_added(stage: Stage) -> str:
    """Double the partitions of all topics by `foreclick topics --grow`; the producer pauses meanwhile."""
    events = stage.settings.events_topic
    before = stage.partition_count(events)
    wanted = 2 * before
    if wanted > _MOST_PARTITIONS:
        raise NoEffect(f"the topic has {before} partitions already")
    with stage.feed.paused():
        ends = stage.ends(events)
        _grow(stage, wanted)
        after = stage.partition_count(events)
        if after == wanted:
            stage.settings = replace(stage.settings, partitions=wanted)
            stage.growths.append(Grown(ends))
            stage.observer.read_also(wanted)
    if after != wanted:
        raise NoEffect(f"the topic had {before} partitions, then {after}")
    return f"the topic had {before} partitions and {sum(ends.values())} records, then {after} partitions"


def _grow(stage: Stage, wanted: int) -> None:
    """Run the command that an operator would. Raises RuntimeError with its words when it fails."""
    done = subprocess.run(
        [sys.executable, "-m", "foreclick", "topics", "--grow", str(wanted)],
        env=worker_environment(stage.settings, os.environ),
        capture_output=True,
        text=True,
        timeout=_GROW_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"foreclick topics --grow {wanted} ended with {done.returncode}: {done.stderr}")
