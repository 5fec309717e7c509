"""The model store: whole versions or none, and a name for each way to be broken."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from model_store.artifacts import ModelStore
from model_store.errors import (
    AliasDanglingError,
    AliasUnsetError,
    ArtifactError,
    FileAbsentError,
    FileCorruptError,
    FileTruncatedError,
    FormatTooNewError,
    FormatTooOldError,
    ManifestError,
    ModelNameError,
    ModelUnknownError,
)
from model_store.manifest import MANIFEST_FILE


def written(store: ModelStore, name: str = "gru", content: str = "weights") -> str:
    with store.writing(name) as writing:
        (writing.directory / "weights.npz").write_text(content)
        (writing.directory / "encoder.json").write_text("{}")
    return writing.version


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    return ModelStore(tmp_path / "models")


def test_versions_are_numbered_and_named_by_their_content(store: ModelStore) -> None:
    first, second = written(store), written(store, content="better")
    again = written(ModelStore(store.root), content="weights")
    assert [version[:5] for version in (first, second, again)] == ["0001-", "0002-", "0003-"]
    assert first[5:] == again[5:] != second[5:]
    assert store.versions("gru") == [first, second, again]
    assert store.models() == ["gru"]
    assert (store.path("gru", second) / "weights.npz").read_text() == "better"


def test_the_ten_thousandth_version_is_still_the_newest(store: ModelStore) -> None:
    first = written(store)
    versions = store.root / "gru" / "versions"
    (versions / first).rename(versions / f"9999-{first[5:]}")
    newest = written(store)
    assert newest.startswith("10000-")
    assert store.versions("gru")[-1] == newest


def test_an_alias_names_a_version_until_it_is_moved(store: ModelStore) -> None:
    first, second = written(store), written(store)
    store.promote("gru", first)
    assert store.resolve("gru") == first
    store.promote("gru", second)
    store.promote("gru", first, alias="shadow")
    assert store.aliases("gru") == {"champion": second, "shadow": first}


def test_nothing_is_published_when_the_writing_fails(store: ModelStore) -> None:
    with pytest.raises(FileNotFoundError), store.writing("gru") as writing:
        (writing.directory / "absent" / "weights.npz").write_text("half")
    assert store.models() == []
    assert not writing.directory.exists()


WRITER_THAT_DIES = """
import os, signal, sys
from pathlib import Path
from model_store.artifacts import ModelStore
with ModelStore(Path(sys.argv[1])).writing("gru") as writing:
    (writing.directory / "weights.npz").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_writer_that_is_killed_leaves_no_version_and_no_lock(store: ModelStore) -> None:
    whole = written(store)
    ended = subprocess.run([sys.executable, "-c", WRITER_THAT_DIES, str(store.root)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert store.versions("gru") == [whole]
    written(store)
    assert not list((store.root / "gru" / "versions").glob("*unfinished*"))


def test_a_writer_waits_for_the_one_before_it(store: ModelStore) -> None:
    second = threading.Thread(target=written, args=(store,), daemon=True)
    with store.writing("gru") as first:
        second.start()
        second.join(timeout=0.2)
        assert second.is_alive()
        (first.directory / "weights.npz").write_text("first")
    second.join()
    assert [version[:4] for version in store.versions("gru")] == ["0001", "0002"]
    assert store.versions("gru")[0] == first.version


def test_what_is_not_there_is_named(store: ModelStore) -> None:
    with pytest.raises(ModelUnknownError, match="foreclick train"):
        store.versions("gru")
    version = written(store)
    with pytest.raises(ModelUnknownError):
        store.path("gru", "0002-00000000")
    with pytest.raises(AliasUnsetError, match=version):
        store.resolve("gru")
    with pytest.raises(ModelUnknownError):
        store.promote("gru", "0002-00000000")
    alias = store.root / "gru" / "aliases" / "champion"
    store.promote("gru", version)
    alias.write_text("0009-00000000\n")
    with pytest.raises(AliasDanglingError, match="promote"):
        store.resolve("gru")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a" * 65, "naïve"])
def test_a_name_that_could_leave_the_store_is_refused(store: ModelStore, name: str) -> None:
    with pytest.raises(ModelNameError):
        store.versions(name)
    version = written(store)
    with pytest.raises(ModelNameError):
        store.promote("gru", version, alias=name)


def overwrite(directory: Path, content: str) -> None:
    (directory / "weights.npz").write_text(content)


def change_format(directory: Path, by: int) -> None:
    manifest = json.loads((directory / MANIFEST_FILE).read_text())
    manifest["format_version"] += by
    (directory / MANIFEST_FILE).write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda directory: overwrite(directory, "weight5"), FileCorruptError),
        (lambda directory: overwrite(directory, "weig"), FileTruncatedError),
        (lambda directory: (directory / "encoder.json").unlink(), FileAbsentError),
        (lambda directory: change_format(directory, 1), FormatTooNewError),
        (lambda directory: change_format(directory, -1), FormatTooOldError),
        (lambda directory: (directory / MANIFEST_FILE).unlink(), ManifestError),
        (lambda directory: (directory / MANIFEST_FILE).write_text("{"), ManifestError),
    ],
)
def test_each_damage_has_its_own_error(store: ModelStore, damage: object, error: type[ArtifactError]) -> None:
    version = written(store)
    assert callable(damage)
    damage(store.path("gru", version))
    with pytest.raises(error, match=version):
        store.path("gru", version)
    with pytest.raises(error):
        store.promote("gru", version)
