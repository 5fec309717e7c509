"""What `make setup` compiles, and what it says where nothing can be kept."""

from pathlib import Path

import pytest

from model_store.kernels import kept_in
from streamer import compile_kernels


def test_it_says_where_the_kernels_are(capsys: pytest.CaptureFixture[str]) -> None:
    compile_kernels.main()
    assert str(kept_in()) in capsys.readouterr().out


def test_it_ends_well_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(compile_kernels, "kept_in", lambda: tmp_path / "absent")
    compile_kernels.main()
    assert "cannot be written: each process compiles" in capsys.readouterr().out
