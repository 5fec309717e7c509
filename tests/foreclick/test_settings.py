"""Where a setting comes from, which source wins, and what is said about a wrong one."""

from __future__ import annotations

from dataclasses import asdict, fields
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from foreclick.errors import SettingsError
from foreclick.settings import Settings, confluent_settings
from foreclick.settings_sources import SETTINGS, load_settings
from foreclick.settings_view import markdown_page, settings_table

REPOSITORY = Path(__file__).parents[2]


def toml_file(directory: Path, text: str) -> Path:
    path = directory / "shop.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("command_line", "environment", "toml", "expected"),
    [
        ({}, {}, "", 20),
        ({}, {}, "window_size = 31", 31),
        ({}, {"FORECLICK_WINDOW_SIZE": "32"}, "window_size = 31", 32),
        ({"window_size": "33"}, {"FORECLICK_WINDOW_SIZE": "32"}, "window_size = 31", 33),
        ({"window_size": None}, {"FORECLICK_WINDOW_SIZE": "32"}, "window_size = 31", 32),
        ({"window_size": 33}, {}, "", 33),
    ],
)
def test_the_nearest_source_wins(
    tmp_path: Path,
    command_line: dict[str, object],
    environment: dict[str, str],
    toml: str,
    expected: int,
) -> None:
    config = toml_file(tmp_path, toml)
    assert load_settings(command_line, environment, config).window_size == expected


def test_the_environment_can_name_the_file_and_the_command_line_another(tmp_path: Path) -> None:
    named = toml_file(tmp_path, "partitions = 4")
    (tmp_path / "other").mkdir()
    other = toml_file(tmp_path / "other", "partitions = 5")
    environment = {"FORECLICK_CONFIG": str(named)}
    assert load_settings({}, environment).partitions == 4
    assert load_settings({}, environment, other).partitions == 5


def test_variables_of_others_are_left_alone() -> None:
    assert load_settings({}, {"PATH": "/bin", "WINDOW_SIZE": "3"}) == Settings()


def test_all_types_are_read_from_text_and_from_toml(tmp_path: Path) -> None:
    expected = Settings(
        topic_prefix="shop",
        partitions=12,
        churn_alert_level=0.5,
        model_store=Path("elsewhere"),
        kafka_ssl_ca_location=Path("ca.pem"),
    )
    environment = {
        "FORECLICK_TOPIC_PREFIX": "shop",
        "FORECLICK_PARTITIONS": "12",
        "FORECLICK_CHURN_ALERT_LEVEL": "0.5",
        "FORECLICK_MODEL_STORE": "elsewhere",
        "FORECLICK_KAFKA_SSL_CA_LOCATION": "ca.pem",
    }
    config = toml_file(
        tmp_path,
        'topic_prefix = "shop"\npartitions = 12\nchurn_alert_level = 0.5\n'
        'model_store = "elsewhere"\nkafka_ssl_ca_location = "ca.pem"\n',
    )
    assert load_settings({}, environment) == expected
    assert load_settings({}, {}, config) == expected
    assert load_settings({}, {"FORECLICK_KAFKA_SSL_CA_LOCATION": ""}, config).kafka_ssl_ca_location is None


def test_every_default_passes_its_own_check() -> None:
    environment = {row.variable: "" if row.default is None else str(row.default) for row in SETTINGS.values()}
    assert load_settings({}, environment) == Settings()


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        ({"FORECLICK_WINDOW_SIZ": "3"}, "SIZ names no setting; did you mean FORECLICK_WINDOW_SIZE?"),
        ({"FORECLICK_QQQQQQQQ": "3"}, "`foreclick settings` lists all"),
        ({"FORECLICK_WINDOW_SIZE": "many"}, "FORECLICK_WINDOW_SIZE: 'many' is not a whole number"),
        ({"FORECLICK_WINDOW_SIZE": "1"}, "at least 2"),
        ({"FORECLICK_CHURN_ALERT_LEVEL": "1.5"}, "at most 1"),
        ({"FORECLICK_CHURN_ALERT_LEVEL": "nan"}, "'nan' is not a number"),
        ({"FORECLICK_LOG_LEVEL": "LOUD"}, "none of DEBUG, INFO, WARNING, ERROR"),
        ({"FORECLICK_CONFIG": "nowhere.toml"}, "cannot read the settings file nowhere.toml"),
    ],
)  # fmt: skip
def test_a_wrong_variable_is_named_with_its_cure(environment: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings({}, environment)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("windowsize = 3", "'windowsize' is no setting; did you mean window_size?"),
        ("window_size = 2.5", "2.5 is not a whole number"),
        ("window_size = true", "True is not a whole number"),
        ("kafka = 3", "3 is not a text"),
        ("[kafka]\naddress = 1", "is not a text"),
        ("window_size 3", "is not TOML"),
        ("\ud800", "is not TOML"),
    ],
)
def test_a_wrong_file_is_named_with_its_cure(tmp_path: Path, toml: str, said: str) -> None:
    config = tmp_path / "shop.toml"
    config.write_bytes(toml.encode("utf-8", "surrogatepass"))
    with pytest.raises(SettingsError) as caught:
        load_settings({}, {}, config)
    assert said in str(caught.value)
    assert str(config) in str(caught.value)


@given(st.integers())
def test_a_whole_number_is_taken_exactly_when_it_is_in_range(number: int) -> None:
    environment = {"FORECLICK_NEXT_ITEMS_COUNT": str(number)}
    if 0 <= number <= 1_000:
        assert load_settings({}, environment).next_items_count == number
    else:
        with pytest.raises(SettingsError):
            load_settings({}, environment)


def test_a_password_is_never_shown_nor_taken_from_the_command_line() -> None:
    secrets = [row for row in SETTINGS.values() if row.secret]
    assert {row.name for row in secrets} == {
        "redis_password",
        "kafka_sasl_password",
        "kafka_ssl_key_password",
    }
    for row in secrets:
        settings = load_settings({}, {row.variable: "hush-hush"})
        assert asdict(settings)[row.name] == "hush-hush"
        assert "hush-hush" not in settings_table(settings)
        assert "hush-hush" not in repr(settings)
        with pytest.raises(SettingsError, match=row.variable) as caught:
            load_settings({row.name: "hush-hush"}, {})
        assert "hush-hush" not in str(caught.value)


def test_a_password_inside_an_address_is_hidden_too() -> None:
    url = "rediss://worker:hush-hush@redis:6379/0"
    shown = settings_table(load_settings({}, {"FORECLICK_REDIS": url}))
    assert "hush-hush" not in shown
    assert "rediss://worker:********@redis:6379/0" in shown
    with pytest.raises(SettingsError, match="FORECLICK_REDIS"):
        load_settings({"redis": url}, {})


def test_the_page_of_settings_is_the_table() -> None:
    assert (REPOSITORY / "docs" / "settings.md").read_text(encoding="utf-8") == markdown_page()
    assert all(f"| `{row.name}` |" in markdown_page() for row in fields(Settings))


def test_clients_without_tls_and_passwords_need_no_settings() -> None:
    assert confluent_settings(Settings()) == {}
    assert confluent_settings(Settings(kafka_sasl_username="left over")) == {}


def test_clients_get_tls_and_sasl_under_the_names_of_librdkafka() -> None:
    settings = Settings(
        kafka_security_protocol="SASL_SSL",
        kafka_sasl_mechanism="SCRAM-SHA-256",
        kafka_sasl_username="worker",
        kafka_sasl_password="hush-hush",
        kafka_ssl_ca_location=Path("ca.pem"),
    )
    assert confluent_settings(settings) == {
        "security.protocol": "SASL_SSL",
        "sasl.mechanism": "SCRAM-SHA-256",
        "sasl.username": "worker",
        "sasl.password": "hush-hush",
        "ssl.ca.location": "ca.pem",
    }
    plain_tls = Settings(kafka_security_protocol="SSL", kafka_ssl_certificate_location=Path("me.pem"))
    assert confluent_settings(plain_tls) == {
        "security.protocol": "SSL",
        "ssl.certificate.location": "me.pem",
    }
