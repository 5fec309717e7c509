"""One target under a coverage-guided fuzzer, in a process of its own, which ends it.

    python -m benchmarks.support.fuzzing.process TARGET RUNS SEED

The fuzzer is libFuzzer through Atheris: it changes inputs that reached new branches. It ends with an error at
the first exception, or where one input takes longer than `HANG_S`; else it prints one line of JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Final

import atheris

HANG_S: Final = 10
LONGEST_INPUT_BYTES: Final = 4_096


def main() -> None:
    """Fuzz one target. Never returns: the fuzzer ends the process."""
    name, runs, seed = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    with atheris.instrument_imports(include=["producers", "streamer.state"]):
        from benchmarks.support.fuzzing.targets import TARGETS
    fuzzed = TARGETS[name]
    outcomes: Counter[str] = Counter()

    def one_input(data: bytes) -> None:
        outcomes[fuzzed.target(data)] += 1
        if outcomes.total() == runs:
            print(json.dumps({"target": name, "inputs": runs, "outcomes": dict(outcomes)}), flush=True)

    with tempfile.TemporaryDirectory(prefix="foreclick-corpus-") as corpus:
        for number, data in enumerate(fuzzed.seeds()):
            (Path(corpus) / f"seed-{number}").write_bytes(data)
        options = {
            "runs": runs,
            "seed": seed + 1,
            "timeout": HANG_S,
            "max_len": LONGEST_INPUT_BYTES,
            "verbosity": 0,
            "artifact_prefix": f"{Path(corpus).parent}/foreclick-crash-",
        }
        atheris.Setup(
            [sys.argv[0], *(f"-{key}={value}" for key, value in options.items()), corpus], one_input
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
