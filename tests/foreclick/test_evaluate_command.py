"""`foreclick evaluate` and `export-behavior` on a small simulated shop and a random model."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from foreclick.cli import main
from foreclick.evaluation_view import HTML_FILE, JSON_FILE, page
from model_store.evaluating.report import OURS, EvaluationReport
from producers.simulator.shop import Shop
from tests.model_store.evaluating.logs import START_MS
from tests.streamer.artifacts import promote_random_model


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("shop") / "shop.jsonl"
    events = Shop(3, 40, 30).events(START_MS, 700)
    path.write_bytes(b"\n".join(msgspec.json.encode(event) for event in events))
    return path


def run(words: Sequence[str]) -> int:
    with pytest.raises(SystemExit) as ended:
        main(words)
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def written(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluated")
    version = promote_random_model(root / "models", seed=5)
    out = root / "report"
    words = ["evaluate", f"gru/{version}", "--data", str(shop), "--format", "jsonl"]
    assert run([*words, "--model-store", str(root / "models"), "--out", str(out)]) == 0
    return out


def test_the_report_is_json_that_says_what_was_measured(written: Path) -> None:
    report = msgspec.json.decode((written / JSON_FILE).read_bytes(), type=EvaluationReport)
    assert {OURS, "markov", "logistic_regression", "boosted_trees"} <= set(report.predictors)
    assert report.rows > 50
    assert report.survival is not None
    curve = report.survival.curves["all events"]
    assert all(0 <= value <= 1 for value in [*curve.predicted, *curve.seen])
    assert sorted(curve.seen, reverse=True) == curve.seen


def test_the_page_needs_nothing_but_itself(written: Path) -> None:
    text = (written / HTML_FILE).read_text()
    assert "width=device-width" in text
    assert re.findall(r"""(?:src|href)=["'](?!data:)""", text) == []
    assert "http" not in re.sub(r"data:image/png;base64,[A-Za-z0-9+/=]*", "", text)
    for heading in ("Reliability", "Precision and recall", "Confusion", "Next item", "by slice", "Survival"):
        assert heading in text


def test_a_title_is_no_markup(written: Path) -> None:
    report = msgspec.json.decode((written / JSON_FILE).read_bytes(), type=EvaluationReport)
    assert "<script>" not in page(report, "<script>alert(1)</script>")


@pytest.mark.parametrize(
    ("options", "cure"),
    [
        (["--train-until", "0.9", "--test-from", "0.5"], "must ascend"),
        (["--model-store", "nowhere"], "foreclick train"),
    ],
)
def test_what_cannot_be_evaluated_is_told_with_the_cure(
    shop: Path, options: list[str], cure: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["evaluate", "--data", str(shop), "--format", "jsonl", *options]) == 1
    assert cure in capsys.readouterr().err


def test_a_log_of_one_event_is_told_to_be_too_short(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    promote_random_model(tmp_path / "models", seed=5)
    log = tmp_path / "one.jsonl"
    log.write_bytes(msgspec.json.encode(next(iter(Shop(3, 4, 5).events(START_MS, 1)))))
    words = ["evaluate", "--data", str(log), "--format", "jsonl", "--model-store", str(tmp_path / "models")]
    assert run(words) == 1
    assert "give a longer log" in capsys.readouterr().err


def test_behavior_is_exported_from_any_log(
    shop: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "user_behavior.csv"
    assert run(["export-behavior", str(shop), "--format", "jsonl", "--out", str(out)]) == 0
    header, *rows = out.read_text().split()
    assert header == "purchase,browse,next_browse"
    kinds = [json.loads(line)["event_type"] for line in shop.read_text().splitlines()]
    assert [row[0] for row in rows] == ["1" if kind == "purchase" else "0" for kind in kinds]
    assert "700 rows" in capsys.readouterr().out
    assert run(["export-behavior", str(shop), "--format", "jsonl", "--out", str(tmp_path / "no" / "x")]) == 1
    assert "cannot write" in capsys.readouterr().err
