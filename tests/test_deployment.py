"""In Docker's place, which is not here: the compose file against its specification and our own tables."""

from __future__ import annotations

import json
import re
import tomllib
from importlib.metadata import distribution, packages_distributions
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from foreclick.cli import COMMANDS
from foreclick.services.kafka import PROPERTIES
from foreclick.settings_sources import load_settings
from tests.test_rooms import REPOSITORY, ROOMS, SOURCES, imports

# The Compose specification's own schema (Apache-2.0), as the check-jsonschema package ships it.
# Found without importing the package, whose command line wants a newer click than faust allows.
SCHEMA = Path(
    str(
        distribution("check-jsonschema").locate_file(
            "check_jsonschema/builtin_schemas/vendor/compose-spec.json"
        )
    )
)


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text(encoding="utf-8"))
    return document


def own_services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: service for name, service in compose["services"].items() if "build" in service}


def errors(document: dict[str, Any]) -> list[str]:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    validator = jsonschema.validators.validator_for(schema)(schema)
    return [error.message for error in validator.iter_errors(document)]


def test_the_compose_file_follows_the_compose_specification(compose: dict[str, Any]) -> None:
    assert errors(compose) == []


def test_the_schema_would_notice(compose: dict[str, Any]) -> None:
    compose["services"]["worker"] = {**compose["services"]["worker"], "comand": ["worker"]}
    assert errors(compose) != []


def test_our_containers_run_commands_that_exist_with_settings_that_exist(compose: dict[str, Any]) -> None:
    services = own_services(compose)
    assert {service["command"][0] for service in services.values()} == {"topics", "collect", "worker"}
    for service in services.values():
        assert service["command"][0] in COMMANDS
        environment = {name: str(value) for name, value in service["environment"].items()}
        settings = load_settings({}, environment)
        assert settings.kafka.partition(":")[0] in compose["services"]
        assert settings.redis.removeprefix("redis://").partition(":")[0] in compose["services"]


def test_published_ports_are_on_loopback(compose: dict[str, Any]) -> None:
    ports = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_the_broker_in_a_container_is_the_embedded_one(compose: dict[str, Any]) -> None:
    """What the embedded broker needs as a single node is in the compose file with the same value."""
    environment = compose["services"]["kafka"]["environment"]
    placeless = [line.split("=") for line in PROPERTIES.splitlines() if "{" not in line and "." in line]
    variables = {f"KAFKA_{name.upper().replace('.', '_')}": value for name, value in placeless}
    shared = {name: value for name, value in variables.items() if "REPLICATION" in name or "MIN_ISR" in name}
    assert len(shared) == 5
    assert {name: str(environment[name]) for name in shared} == shared
    jars = files("foreclick.services").joinpath("kafka_jars.sha256").read_text(encoding="utf-8")
    version = compose["services"]["kafka"]["image"].rpartition(":")[2]
    assert f"org.apache.kafka:kafka_2.13:{version}\n" in jars


def test_the_image_gets_all_rooms_and_needs_no_file_that_is_kept_from_it() -> None:
    dockerfile = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.+) \S+$", dockerfile, flags=re.MULTILINE)
        for word in line.split()
    }
    assert set(ROOMS) <= copied
    allowed = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {f"!{name}" for name in copied} <= set(allowed)


def test_every_package_that_is_imported_is_declared() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    declared = {re.split(r"[\[<>=; ]", line)[0].lower() for line in project["dependencies"]}
    providers = packages_distributions()
    wrong = {
        (path.relative_to(REPOSITORY).as_posix(), module)
        for path in SOURCES
        for module in {name.partition(".")[0] for name in imports(path)} - set(ROOMS)
        if module in providers
        and not declared & {name.lower().replace("_", "-") for name in providers[module]}
    }
    assert wrong == set()


@pytest.mark.parametrize("lock", ["requirements.txt", "requirements-dev.txt"])
def test_locks_have_hashes_for_all_and_addresses_for_none(lock: str) -> None:
    text = (REPOSITORY / lock).read_text(encoding="utf-8")
    assert "://" not in text
    pinned = [block for block in re.split(r"\n(?=\S)", text) if not block.startswith("#")]
    assert len(pinned) > 50
    assert all("==" in block and "--hash=sha256:" in block for block in pinned)


def test_the_set_up_is_written_for_the_files_that_are_there() -> None:
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    for name in ("requirements.txt", "requirements-dev.txt", "foreclick/services/kafka_jars.sha256"):
        assert name in makefile
        assert Path(REPOSITORY / name).is_file()
