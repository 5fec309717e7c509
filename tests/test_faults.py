"""The fault bench in short: real processes are broken and nothing is lost; and the bench can fail."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.support.faults.hooks import ACK_FIRST, WRITE_FIRST
from benchmarks.support.faults.round import Plan, run_round
from benchmarks.support.faults.servers import Servers, running_servers
from benchmarks.support.faults.stage import SLOTS

RATE = 100.0
# One of each sort that is quick: a whole turn of all kinds takes the bench some minutes.
QUICK = (
    "worker killed at step 6",
    "Redis emptied",
    "promotion between publish and write",
    "worker killed at step 8",
    "Redis set back",
    "network cut to the broker",
    "Redis full",
    "broker killed",
    "worker killed at step 2",
)
AT_THE_SABOTAGE = "worker killed at step 7"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """A Kafka and a Valkey that may be broken."""
    with running_servers(tmp_path_factory.mktemp("servers"), SLOTS) as running:
        yield running


def plan(name: str, kinds: tuple[str, ...], sabotage: str = "") -> Plan:
    order = itertools.cycle(kinds)
    return Plan(name, 1, math.inf, RATE, order, len(kinds), sabotage, compared=not sabotage)


def test_nothing_is_lost_and_nothing_differs_whatever_breaks(servers: Servers, tmp_path: Path) -> None:
    verdict, injected = run_round(plan("faults", QUICK), servers, tmp_path, print)
    assert [fault.kind for fault in injected] == list(QUICK)
    assert verdict.clean, verdict
    assert verdict.events > RATE
    assert verdict.republished > 0


@pytest.mark.parametrize("sabotage", [ACK_FIRST, WRITE_FIRST])
def test_a_worker_that_takes_a_batch_for_done_before_it_publishes_is_caught(
    servers: Servers, tmp_path: Path, sabotage: str
) -> None:
    name = sabotage.replace(" ", "-")
    verdict, injected = run_round(plan(name, (AT_THE_SABOTAGE,), sabotage), servers, tmp_path, print)
    assert [fault.kind for fault in injected] == [AT_THE_SABOTAGE]
    assert verdict.lost > 0
    assert not verdict.clean
