"""One set of security settings for every client."""

from __future__ import annotations

import ssl

import pytest

from streamer.security import aiokafka_security


def test_without_settings_a_client_speaks_in_plain_text() -> None:
    assert aiokafka_security({}) == {"security_protocol": "PLAINTEXT"}


@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL", "sasl_ssl"])
def test_a_login_is_passed_on(protocol: str) -> None:
    given = aiokafka_security(
        {
            "security.protocol": protocol,
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "shop",
            "sasl.password": "secret",
        }
    )
    context = given.pop("ssl_context", None)
    assert given == {
        "security_protocol": protocol.upper(),
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "shop",
        "sasl_plain_password": "secret",
    }
    assert (context is None) == (protocol == "SASL_PLAINTEXT")


def test_with_tls_the_brokers_must_prove_who_they_are() -> None:
    context = aiokafka_security({"security.protocol": "SSL"})["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
