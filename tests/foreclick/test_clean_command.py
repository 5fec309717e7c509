"""`foreclick clean`: the events it leaves, its report, and its refusals."""

from __future__ import annotations

import gzip
import io
import json
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from foreclick.cli import main

HEADER = "user_id,event_type,event_time_ms,item_id,category,price\n"
LINES = [
    "ann,view,1700000000000,pan,kitchen,10",
    "ann,view,1700000000000,pan,kitchen,10",  # again
    "ann,view,1700000000900,pan,kitchen,10",  # a double click
    "bob,view,1700000100000,pan,,",  # the item knows both
    "bob,view,1700000200000,lid,kitchen,",  # the category's median
    "bob,view,1700000300000,mystery,,",
    "bob,sneeze,1700000400000,pan,kitchen,10",
]


def written(path: Path, lines: list[str]) -> Path:
    path.write_text(HEADER + "\n".join(lines) + "\n")
    return path


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


def run(words: list[str]) -> Done:
    """What the command does when it is typed, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(words)
    return Done(int(left.value.code or 0), out.getvalue(), err.getvalue())


def cleaned(log: Path, out: Path, *more: str) -> tuple[list[dict[str, Any]], str]:
    done = run(["clean", str(log), "--format", "csv", "--out", str(out), *more])
    assert done.returncode == 0, done.stderr
    text = gzip.decompress(out.read_bytes()) if out.suffix == ".gz" else out.read_bytes()
    return [json.loads(line) for line in text.splitlines()], done.stdout


def test_a_log_is_cleaned_in_its_own_order_and_the_report_says_how(tmp_path: Path) -> None:
    log, report_file = written(tmp_path / "log.csv", LINES), tmp_path / "report.json"
    events, told = cleaned(log, tmp_path / "out.jsonl", "--report", str(report_file))
    assert [(one["user_id"], one["item_id"]) for one in events] == [
        ("ann", "pan"), ("bob", "pan"), ("bob", "lid"), ("bob", "mystery")
    ]  # fmt: skip
    assert [one.get("category") for one in events] == ["kitchen", "kitchen", "kitchen", None]
    assert [one.get("price") for one in events] == [
        10,
        pytest.approx(10, rel=2e-3),
        pytest.approx(10, rel=2e-3),
        None,
    ]
    report = json.loads(report_file.read_text())
    assert (report["lines"], report["rejected"]) == (7, {"event_type_unknown": 1})
    assert (report["events"], report["kept"], report["dropped"]) == (6, 4, 2)
    by_rule = {(rule["rule"], *rule["columns"]): rule for rule in report["rules"]}
    assert by_rule["same_content",]["examples"] == [3]
    assert by_rule["near_duplicate",]["dropped"] == 1
    assert by_rule["missing", "price"]["filled"] == {"item": 1, "category": 1, "absent": 1}
    assert by_rule["missing", "category"]["filled"] == {"item": 1, "absent": 1}
    assert "ann" not in report_file.read_text()
    assert "4 events kept" in told


def test_rules_of_a_file_take_the_place_of_the_defaults(tmp_path: Path) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rules]]\nrule = "near_duplicate"\nwithin_ms = 500\naction = "flag"\n')
    log = written(tmp_path / "log.csv", LINES)
    events, _ = cleaned(log, tmp_path / "out.jsonl.gz", "--rules", str(rules))
    assert len(events) == 6


def test_the_rules_that_are_shown_can_be_read_again(tmp_path: Path) -> None:
    done = run(["clean", "log.csv", "--format", "csv", "--show-rules"])
    assert done.returncode == 0, done.stderr
    assert {rule["rule"] for rule in json.loads(done.stdout)["rules"]} >= {
        "near_duplicate",
        "isolation_forest",
    }


@pytest.mark.parametrize(
    ("lines", "rules", "told"),
    [
        ([], None, "holds no event"),
        (LINES, "[[rules]]\nrule = 'wash'", "the rules are wrong"),
        (LINES, "[[rules", "not TOML"),
    ],
)
def test_what_cannot_be_cleaned_is_said_in_a_line_and_nothing_is_written(
    tmp_path: Path, lines: list[str], rules: str | None, told: str
) -> None:
    log, out = written(tmp_path / "log.csv", lines), tmp_path / "out.jsonl"
    words = ["clean", str(log), "--format", "csv", "--out", str(out)]
    if rules is not None:
        (tmp_path / "rules.toml").write_text(rules)
        words += ["--rules", str(tmp_path / "rules.toml")]
    done = run(words)
    assert done.returncode == 1
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not out.exists()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    log = written(tmp_path / "log.csv", LINES)
    done = run(["clean", str(log), "--format", "csv", "--out", str(tmp_path / "no" / "out.jsonl")])
    assert done.returncode == 1
    assert "cannot write" in done.stderr
