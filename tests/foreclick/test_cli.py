"""The command line as a person meets it, each time in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata

import pytest

from foreclick.cli import COMMANDS

HELP_IMPORTS = """
import contextlib, sys
from foreclick.cli import main
with contextlib.suppress(SystemExit):
    main(["--help"])
print("loaded:", sorted({name.partition(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def run(
    words: Sequence[str], environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FORECLICK_")}
    return subprocess.run(
        [sys.executable, "-m", "foreclick", *words],
        env={**clean, "COLUMNS": "200", "NO_COLOR": "1", **(environment or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_help_lists_all_commands_and_loads_no_heavy_library() -> None:
    done = subprocess.run(
        [sys.executable, "-c", HELP_IMPORTS], capture_output=True, text=True, timeout=60, check=True
    )
    assert all(name in done.stdout for name in COMMANDS)
    loaded = done.stderr.rpartition("loaded:")[2]
    heavy = (
        "tensorflow",
        "keras",
        "faust",
        "aiokafka",
        "confluent_kafka",
        "redis",
        "faiss",
        "sklearn",
        "polars",
    )
    assert [name for name in heavy if f"'{name}'" in loaded] == []


def test_the_version_is_the_installed_ones() -> None:
    done = run(["--version"])
    assert (done.returncode, done.stdout) == (0, f"foreclick {metadata.version('foreclick')}\n")


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_help_with_examples(name: str) -> None:
    done = run([name, "--help"])
    assert done.returncode == 0, done.stderr
    assert COMMANDS[name].help or "foreclick" in done.stdout
    if not COMMANDS[name].target.endswith(":app"):
        assert f"foreclick {name}" in done.stdout.partition("Examples")[2]


def test_settings_from_all_sources_reach_a_command() -> None:
    done = run(["settings", "--partitions", "9"], {"FORECLICK_TOPIC_PREFIX": "shop"})
    assert done.returncode == 0
    rows = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}
    assert rows["partitions"] == "9"
    assert rows["topic_prefix"] == "shop"


def test_an_error_is_one_line_that_names_the_cure() -> None:
    done = run(["settings", "--window-size", "many"])
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        "foreclick: --window-size: 'many' is not a whole number of events, at least 2 and at most 1000\n"
    )


def test_a_password_is_no_option() -> None:
    done = run(["settings", "--kafka-sasl-password", "hush-hush"])
    assert done.returncode == 2
    assert "--kafka-sasl-password" in done.stderr


def test_an_unknown_command_is_a_usage_error() -> None:
    done = run(["setings"])
    assert done.returncode == 2
    assert "settings" in done.stderr


def test_topics_without_a_broker_says_how_to_get_one() -> None:
    done = run(["topics"])
    assert done.returncode == 1
    assert "foreclick services up" in done.stderr


def test_a_group_of_features_that_does_not_exist_is_refused_before_the_log_is_read() -> None:
    done = run(["train", "no-such-log.csv", "--format", "rees46", "--features", "price,moon"])
    assert done.returncode == 1
    assert "no group of features 'moon'; choose from previous, price" in done.stderr
