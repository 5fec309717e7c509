"""One set of security settings for every Kafka client: librdkafka's names, turned into aiokafka's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from aiokafka.helpers import create_ssl_context


def aiokafka_security(settings: Mapping[str, str]) -> dict[str, Any]:
    """Return the keyword arguments that make an aiokafka client speak as ``settings`` say.

    ``settings`` holds librdkafka's names, for example ``security.protocol`` and ``sasl.username``.
    """
    protocol = settings.get("security.protocol", "PLAINTEXT").upper()
    arguments: dict[str, Any] = {"security_protocol": protocol}
    if protocol.startswith("SASL"):
        arguments["sasl_mechanism"] = settings["sasl.mechanism"]
        arguments["sasl_plain_username"] = settings["sasl.username"]
        arguments["sasl_plain_password"] = settings["sasl.password"]
    if protocol.endswith("SSL"):
        arguments["ssl_context"] = create_ssl_context(
            cafile=settings.get("ssl.ca.location"),
            certfile=settings.get("ssl.certificate.location"),
            keyfile=settings.get("ssl.key.location"),
            password=settings.get("ssl.key.password"),
        )
    return arguments
