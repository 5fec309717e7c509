"""Logs that cannot teach a model: each ends with an error that says what to do, from every command."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import pytest
from typer.testing import CliRunner

from foreclick.cli import build_app
from foreclick.demo.model import train_demo_model
from foreclick.demo.shop_log import read_shop_log
from foreclick.errors import DemoError
from foreclick.settings import Settings
from model_store.errors import TrainingError

if TYPE_CHECKING:
    from foreclick.demo.view import Moment

HEADER = "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
NOW_MS = 1_700_000_000_000


def line(minute: int, user: int = 1, kind: str = "view", item: int = 7) -> str:
    time = f"2019-10-01 {minute // 60:02}:{minute % 60:02}:00 UTC"
    return f"{time},{kind},{item},1,shoes,acme,9.90,{user},s-{user}\n"


BAD_LOGS = {
    "no row": "",
    "one row": line(0),
    "one row many times": line(0) * 300,
    "all at one moment": "".join(line(0, user=user, item=user) for user in range(60)),
    "no event at all": "a,b\n" * 30,
}


class Mute:
    """A view that shows nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close nothing."""

    def say(self, text: str) -> None:
        assert "nan" not in text

    def show(self, moment: Moment) -> None:
        """Show nothing."""


@pytest.fixture(params=BAD_LOGS)
def bad_log(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(HEADER + BAD_LOGS[request.param])
    return path


def test_train_refuses_a_log_that_teaches_nothing(bad_log: Path, tmp_path: Path) -> None:
    words = ["train", str(bad_log), "--format", "rees46", "--model-store", str(tmp_path / "models")]
    result = CliRunner().invoke(build_app(words), words)
    assert isinstance(result.exception, TrainingError)  # `foreclick.cli.main` shows its text
    assert "log" in str(result.exception)
    assert not (tmp_path / "models" / "gru").exists()


def test_the_demo_refuses_a_log_that_teaches_nothing(bad_log: Path, tmp_path: Path) -> None:
    log = read_shop_log(bad_log, "rees46", None, NOW_MS)
    with pytest.raises((TrainingError, DemoError), match="log"):
        train_demo_model(log, Settings(), tmp_path, Mute(), network=None)
