"""A million inputs for what reads bytes: the decoder, the stored state, the collector and the readers.

Each runs under a coverage-guided fuzzer in a process of its own. Any input must end in a result or in a
refusal with a name; an exception, or an input that takes 10 s, is a failure, and is shown.

    python -m benchmarks.fuzz
    python -m benchmarks.fuzz --inputs 20000 --seed 1
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.support.fuzzing.targets import TARGETS
from benchmarks.support.machine import machine

AT_ONCE = 2
WORDS_SHOWN = 25


def main() -> None:
    """Fuzz each target, tell of each, and print one JSON line. Exits with 1 for an unaccounted input."""
    arguments = _arguments()
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(lambda name: _fuzzed(name, arguments), TARGETS))
    failed = [answer["target"] for answer in answers if "failure" in answer]
    summary = {
        "inputs": sum(answer["inputs"] for answer in answers),
        "failures": len(failed),
        "targets": {answer.pop("target"): answer for answer in answers},
        "workload": vars(arguments),
        "machine": machine(),
    }
    print(json.dumps(summary))
    sys.exit(1 if failed else 0)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def _fuzzed(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what one target's process said; its last words where it failed."""
    runs = round(arguments.inputs * TARGETS[name].share)
    command = [
        sys.executable,
        "-m",
        "benchmarks.support.fuzzing.process",
        name,
        str(runs),
        str(arguments.seed),
    ]
    started_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="foreclick-fuzzing-") as place:
        words_file = Path(place) / "words"
        with words_file.open("wb") as words:
            done = subprocess.run(
                command,
                env={**os.environ, "TMPDIR": place},  # libFuzzer ends its process without tidying up
                stdin=subprocess.DEVNULL,
                stdout=words,
                stderr=words,
                check=False,
            )
        said = words_file.read_text(errors="replace").splitlines()
    seconds = round(time.monotonic() - started_s, 1)
    found = [line for line in said if line.startswith('{"target"')]
    if done.returncode or not found:
        print(f"{name}: failed after {seconds} s", *said[-WORDS_SHOWN:], sep="\n  ", flush=True)
        return {"target": name, "inputs": 0, "failure": said[-WORDS_SHOWN:]}
    answer: dict[str, Any] = json.loads(found[-1])
    print(
        f"{name}: {answer['inputs']:,} inputs in {seconds} s, {len(answer['outcomes'])} outcomes", flush=True
    )
    return answer | {"seconds": seconds}


if __name__ == "__main__":
    main()
