"""The documents against what they speak of: links, commands, codes, fields, and the README's example."""

from __future__ import annotations

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from confluent_kafka import Producer

from foreclick.cli import COMMANDS, build_app
from foreclick.settings import Settings
from producers.events import REASONS, Event
from streamer.predictions import Churn, ModelVersion, NextItem, Prediction, encode_prediction
from tests.test_rooms import REPOSITORY

DOCUMENTS = [
    REPOSITORY / "README.md",
    REPOSITORY / "CHANGELOG.md",
    *sorted((REPOSITORY / "docs").rglob("*.md")),
]
DECISIONS = sorted((REPOSITORY / "docs" / "adr").glob("*.md"))
FENCED = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def documents() -> pytest.MarkDecorator:
    return pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)


def anchors(document: Path) -> set[str]:
    """Give the anchors of a document's headings, made as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", document.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@documents()
def test_links_lead_somewhere(document: Path) -> None:
    text = FENCED.sub("", document.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        place = (document.parent / file) if file else document
        assert place.exists(), target
        assert not anchor or anchor in anchors(place), target


def code_lines(document: Path) -> Iterator[str]:
    """Give each piece of code in a document: spans, and lines of fenced or indented blocks."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    for _, block in FENCED.findall(text):
        yield from block.splitlines()
    for line in FENCED.sub("", text).splitlines():
        if line.startswith("    "):
            yield line
        else:
            yield from re.findall(r"`([^`]+)`", line)


def typed_commands(document: Path) -> Iterator[list[str]]:
    """Give the words behind ``foreclick`` of each command in a document."""
    for line in code_lines(document):
        found = re.match(r"\s*(?:\$ )?(?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?foreclick ([a-z].*)", line)
        if found:
            yield shlex.split(re.split(r" [|>#&]|;", found[1])[0])


def wrong_words(words: list[str]) -> list[str]:
    """Give the words that are no command, no subcommand and no option of theirs."""
    if words[0] not in COMMANDS:
        return words[:1]
    command: Any = typer.main.get_command(build_app(words))
    rest = list(words)
    while hasattr(command, "commands"):
        if not rest:
            return []
        name = rest.pop(0)
        if name not in command.commands:
            return [name]
        command = command.commands[name]
    options = {name for option in command.params for name in (*option.opts, *option.secondary_opts)}
    return [word for word in rest if word.startswith("--") and word.partition("=")[0] not in options]


@documents()
def test_commands_that_are_named_exist_with_their_options(document: Path) -> None:
    wrong = {" ".join(words): found for words in typed_commands(document) if (found := wrong_words(words))}
    assert wrong == {}


def test_a_wrong_command_or_option_would_be_noticed() -> None:
    assert wrong_words(["rekindle"]) == ["rekindle"]
    assert wrong_words(["replay", "LOG", "--sped", "max"]) == ["--sped"]
    assert wrong_words(["models", "list", "--model-store", "models"]) == []
    assert wrong_words(["models", "lost"]) == ["lost"]


@documents()
def test_make_targets_and_modules_that_are_named_exist(document: Path) -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for line in code_lines(document):
        if found := re.match(r"\s*(?:\$ )?make ([a-z]+)", line):
            assert found[1] in targets
        if found := re.match(r"\s*(?:\.venv/bin/)?python -m (benchmarks\S*)", line):
            assert importlib.util.find_spec(found[1]) is not None


@documents()
def test_tests_that_are_named_exist(document: Path) -> None:
    for file, name in re.findall(r"`(tests/\S+\.py)::(\w+)`", document.read_text(encoding="utf-8")):
        assert re.search(rf"^def {name}\(", (REPOSITORY / file).read_text(), re.MULTILINE), f"{file}::{name}"


@documents()
def test_no_machine_and_no_package_registry_is_named(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert not re.search(r"/work\b|/root\b|/home/(?!foreclick)|pypi\.org|pythonhosted|maven\.org", text)


def rows_of_table(document: str, heading: str) -> list[list[str]]:
    """Give the cells of the first table below a heading, without its head."""
    text = (REPOSITORY / document).read_text(encoding="utf-8").partition(f"{heading}\n")[2]
    table = re.search(r"(?:^\|.*\n?)+", text, re.MULTILINE)
    assert table is not None, heading
    lines = table[0].splitlines()[2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def first_codes(rows: list[list[str]]) -> list[str]:
    return [code for row in rows for code in re.findall(r"`([^`]+)`", row[0])]


def test_the_contract_lists_every_reason_once() -> None:
    assert sorted(first_codes(rows_of_table("docs/contract.md", "## Reason codes"))) == sorted(REASONS)


def test_the_contract_lists_the_fields_of_events_and_predictions() -> None:
    for heading, kind in (("## An event", Event), ("## A prediction", Prediction)):
        listed = first_codes(rows_of_table("docs/contract.md", heading))
        assert sorted(listed) == sorted(field.name for field in msgspec.structs.fields(kind))


def test_the_coverage_has_the_twenty_parts_and_a_command_for_each_that_works() -> None:
    rows = rows_of_table("docs/coverage.md", "# Coverage")
    assert [row[0] for row in rows] == [str(number) for number in range(1, 21)]
    for _, part, state, command in rows:
        assert re.match(r"works|partly|not yet", state), part
        assert bool(command) == (state != "not yet"), part


def test_decisions_are_numbered_and_say_why() -> None:
    assert [path.name[:4] for path in DECISIONS] == [f"{n:04}" for n in range(1, len(DECISIONS) + 1)]
    for path in DECISIONS:
        text = path.read_text(encoding="utf-8")
        assert re.match(rf"# {path.name[:4]} ", text)
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequences"))


class Enough(Exception):
    """Ends the README's example, which would read for ever."""


def prediction(offset: int) -> Prediction:
    return Prediction(
        prediction_id=f"topic-0-{offset}",
        user_id="u-7",
        event_id=f"e-{offset}",
        event_time_ms=1_760_000_000_000,
        scored_at_ms=1_760_000_000_005,
        model=ModelVersion("gru", "0001-00000000"),
        next_action={"view": 0.25, "none": 0.75},
        churn=Churn(0.9, 3_600_000, None),
        next_items=[NextItem(f"item-{offset}", 9.5)],
    )


def test_the_example_of_the_readme_sees_each_prediction_once(fresh_topics: Settings) -> None:
    """Offset 1 is published again, as after a crash; the example must not act on it twice."""
    producer = Producer({"bootstrap.servers": fresh_topics.kafka})
    for offset in (1, 2, 1, 2, 3):
        producer.produce(fresh_topics.predictions_topic, encode_prediction(prediction(offset)), partition=0)
    assert producer.flush(30) == 0
    blocks = dict(FENCED.findall((REPOSITORY / "README.md").read_text(encoding="utf-8")))
    example = blocks["python"].replace("127.0.0.1:9092", fresh_topics.kafka)
    example = example.replace("clickstream.predictions", fresh_topics.predictions_topic)
    example = example.replace('"my-shop"', f'"{fresh_topics.topic_prefix}"')
    shown: list[tuple[str, list[str]]] = []
    kept: list[str] = []

    def show(user_id: str, items: list[str]) -> None:
        shown.append((user_id, items))

    def keep(user_id: str) -> None:
        kept.append(user_id)
        if len(kept) == 3:
            raise Enough

    with pytest.raises(Enough):
        exec(compile(example, "README.md", "exec"), {"show": show, "keep": keep})  # noqa: S102 - our own text
    assert shown == [("u-7", [f"item-{offset}"]) for offset in (1, 2, 3)]
    assert kept == ["u-7"] * 3
