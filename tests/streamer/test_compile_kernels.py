"""What `make setup` compiles, and what it says where nothing can be kept."""

from pathlib import Path

import pytest
from numba.core import config

from streamer.compile_kernels import main


def test_it_says_where_the_kernels_are(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    assert vars(config)["CACHE_DIR"] in capsys.readouterr().out


def test_it_ends_well_where_nothing_can_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(config, "CACHE_DIR", str(tmp_path / "absent"))
    main()
    assert "cannot be written: each process compiles" in capsys.readouterr().out
