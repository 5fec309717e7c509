"""Any bytes, given to what reads bytes from outside: a short run of `benchmarks.fuzz`, and Hypothesis."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from benchmarks.support.fuzzing import targets
from benchmarks.support.fuzzing.shapes import json_from
from benchmarks.support.fuzzing.targets import TARGETS
from model_store.windows import ROW_BYTES
from streamer.state import UserState
from tests.test_rooms import REPOSITORY

INPUTS = 4_000
ROW = bytes(ROW_BYTES)
shaped = st.binary(min_size=1, max_size=200).map(lambda data: b"\xff" + data)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.one_of(st.binary(max_size=300), shaped))
@example(data=b"")
def test_any_bytes_end_in_a_result_or_in_a_refusal_with_a_name(name: str, data: bytes) -> None:
    assert TARGETS[name].target(data)


@pytest.mark.parametrize("name", TARGETS)
def test_the_seeds_hold_good_inputs_and_bad_ones(name: str) -> None:
    outcomes = {TARGETS[name].target(data) for data in TARGETS[name].seeds()}
    assert outcomes & {"event", "state", "events"}
    assert len(outcomes) > 1 or name == "state record"


@given(st.binary(max_size=200))
def test_what_bytes_decide_is_json_and_always_the_same(data: bytes) -> None:
    assert json_from(data) == json_from(data)
    assert isinstance(json.loads(json_from(data)), dict)


@given(st.integers(0, 3), st.integers(0, 40), st.integers(0, 60))
def test_a_state_that_is_cut_anywhere_is_read_as_a_shorter_one_or_refused(
    rows: int, floats: int, cut: int
) -> None:
    record = UserState(ROW * rows, bytes(4 * floats), 7).packed()
    assert targets.fuzz_state(record[: max(0, len(record) - cut)]) in ("state", "unreadable")


def test_a_short_run_guided_by_coverage_accounts_for_every_input() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fuzz", "--inputs", str(INPUTS)],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads(done.stdout.splitlines()[-1])
    assert (summary["inputs"], summary["failures"]) == (INPUTS, 0)
