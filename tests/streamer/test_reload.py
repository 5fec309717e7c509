"""A promoted model is swapped in; one that cannot be loaded is refused, and the old one stays."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from model_store.artifacts import ModelStore
from model_store.pauses import Pause, no_pause
from streamer.errors import ModelUnavailable
from streamer.profile import Profile
from streamer.reload import ModelWatcher, load_champion
from streamer.rendering import RenderingSettings
from streamer.scorer import Scorer
from streamer.scoring import ScoringSettings
from tests.streamer.artifacts import promote_random_model


def scorer_of(root: Path) -> Scorer:
    settings = ScoringSettings(1_000, RenderingSettings(3, 0.8))
    return Scorer(load_champion(root, "gru", "champion"), settings, 100, lambda: 0, Profile())


def look(scorer: Scorer, root: Path, pause: Pause = no_pause) -> None:
    asyncio.run(ModelWatcher(scorer, root, "gru", "champion", 1_000, pause=pause).look())


def test_a_promoted_version_is_swapped_in(tmp_path: Path) -> None:
    promote_random_model(tmp_path, seed=1)
    scorer = scorer_of(tmp_path)
    second = promote_random_model(tmp_path, seed=2)
    look(scorer, tmp_path)
    assert scorer.model.version == second


def test_a_promoted_version_is_loaded_in_parts(tmp_path: Path) -> None:
    promote_random_model(tmp_path, seed=1)
    scorer, served_at_pauses = scorer_of(tmp_path), list[str]()
    first = scorer.model.version
    promote_random_model(tmp_path, seed=2)
    look(scorer, tmp_path, lambda: served_at_pauses.append(scorer.model.version))
    # Behind the manifest, the weights, the encoder, the index, the network and the heads.
    assert len(served_at_pauses) >= 6
    assert set(served_at_pauses) == {first}


@pytest.mark.parametrize("damage", ["cut", "changed", "missing"])
def test_a_broken_version_is_refused_and_the_old_one_stays(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    first = promote_random_model(tmp_path, seed=1)
    scorer = scorer_of(tmp_path)
    broken = promote_random_model(tmp_path, seed=2)
    file = next(tmp_path.glob(f"**/{broken}/encoder.json"))
    content = file.read_bytes()
    file.unlink()
    if damage != "missing":
        file.write_bytes(content[:-1] if damage == "cut" else content[:-1] + b" ")
    look(scorer, tmp_path)
    assert scorer.model.version == first
    assert "refused" in caplog.text
    assert "encoder.json" in caplog.text


def test_rolling_back_swaps_the_older_version_in_again(tmp_path: Path) -> None:
    first = promote_random_model(tmp_path, seed=1)
    promote_random_model(tmp_path, seed=2)
    scorer = scorer_of(tmp_path)
    ModelStore(tmp_path).promote("gru", first)
    look(scorer, tmp_path)
    assert scorer.model.version == first


def test_without_any_model_the_cure_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="foreclick train"):
        load_champion(tmp_path, "gru", "champion")
