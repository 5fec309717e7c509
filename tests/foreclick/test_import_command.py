"""`foreclick models import`, with the model of docs/models.md."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from foreclick.cli import main
from model_store.artifacts import ModelStore
from model_store.serving import load_served_model
from tests.model_store.network_artifacts import write_network

DOCUMENT = Path(__file__).parents[2] / "docs" / "models.md"


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["models", *words])
    return int(ended.value.code or 0)


def test_the_example_of_the_documents_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = ModelStore(Path("models"))
    with store.writing("gru") as writing:
        write_network(writing.directory, "gru")
    store.promote("gru", writing.version)
    (example,) = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL)
    exec(example, {})  # noqa: S102 - the example is ours

    assert run("import", "mine.keras", "--encoder-from", "gru", "--name", "mine") == 0

    version = store.resolve("mine")
    assert f"mine.keras is mine {version}" in capsys.readouterr().out
    assert load_served_model(store, "mine", version).index.description.items == 12
    assert run("show", "mine") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["aliases"], shown["network"]["network"]) == (["champion"], "imported")


def test_a_refused_model_is_published_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    store = ModelStore(Path("models"))
    with store.writing("gru") as writing:
        write_network(writing.directory, "gru")
    Path("mine.keras").write_bytes(b"no archive")
    words = ("import", "mine.keras", "--encoder-from", f"gru/{writing.version}", "--name", "mine")
    assert run(*words) == 1
    assert "no Keras archive" in capsys.readouterr().err
    assert store.models() == ["gru"]
