"""The checker must not share code with what it checks."""

from __future__ import annotations

import ast
from pathlib import Path

import foreclick.checking

FORBIDDEN = {"streamer", "faust"}


def imported_rooms(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_the_checker_imports_nothing_from_the_streamer() -> None:
    sources = sorted(Path(foreclick.checking.__path__[0]).glob("*.py"))

    assert len(sources) > 3
    assert {source.name for source in sources if imported_rooms(source) & FORBIDDEN} == set()
