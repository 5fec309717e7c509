"""`foreclick models`: what a person sees of the store, and what is said when something is missing."""

import json
from pathlib import Path

import pytest

from foreclick.cli import main
from model_store.artifacts import ModelStore


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["models", *words])
    return int(ended.value.code or 0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "models"


def written(root: Path) -> str:
    with ModelStore(root).writing("gru") as writing:
        (writing.directory / "network.json").write_text('{"network": "gru"}')
        (writing.directory / "metrics.json").write_text('{"test": null}')
    return writing.version


def test_list_show_and_promote(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = written(root), written(root)
    store = ["--model-store", str(root)]
    assert run("promote", "gru", first, *store) == 0
    assert run("list", *store) == 0
    out = capsys.readouterr().out
    assert f"gru  {first}  champion\n" in out
    assert f"gru  {second}\n" in out
    assert run("show", "gru", *store) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["version"], shown["aliases"]) == (first, ["champion"])
    assert shown["network"] == {"network": "gru"}


def test_what_is_missing_is_said_with_its_cure(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = ["--model-store", str(root)]
    assert run("list", *store) == 0
    assert "foreclick train" in capsys.readouterr().out
    assert run("show", "gru", *store) == 1
    assert "foreclick train" in capsys.readouterr().err
    version = written(root)
    assert run("show", "gru", *store) == 1
    assert f"foreclick models promote gru {version}" in capsys.readouterr().err
