"""`--network` of `foreclick train` and `foreclick demo`."""

from __future__ import annotations

import pytest

from foreclick.cli import main
from model_store.specification import NETWORKS
from model_store.training_settings import default_training_settings


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    return int(ended.value.code or 0)


@pytest.mark.parametrize("command", [["train", "log.csv", "--format", "rees46"], ["demo"]])
def test_an_unknown_network_is_refused_with_those_that_exist(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*command, "--network", "liquid") == 2
    shown = capsys.readouterr().err
    assert all(network in shown for network in NETWORKS)


def test_a_stored_model_has_its_network_already(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("demo", "--model", "mine", "--network", "lstm") == 1
    assert "leave --network out" in capsys.readouterr().err


def test_the_network_of_a_run_is_the_one_that_is_told() -> None:
    assert default_training_settings(window_size=20, timed=True, network="lstm").network == "lstm"
    assert default_training_settings(window_size=20, timed=True, network=None).network == "gru"
