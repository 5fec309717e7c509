"""The file of a Keras model, looked into before Keras loads it: its size, its parts and its layers.

A `.keras` file is a zip archive whose `config.json` names every class that loading makes. Only classes of
Keras itself are let through, and none that can run code that the file brings along.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING, Any, Final

import msgspec

from model_store.importing.failures import Failure, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MOST_FILE_BYTES: Final = 1 << 30
MOST_UNPACKED_BYTES: Final = 2 << 30
_CONFIG: Final = "config.json"
_NEEDED: Final = (_CONFIG, "model.weights.h5")
_MODULES: Final = (
    "keras",
    "keras.constraints",
    "keras.initializers",
    "keras.layers",
    "keras.regularizers",
    "keras.src.models.functional",
    "keras.src.models.sequential",
)
_OPERATIONS: Final = "keras.src.ops."
_VALUES: Final = ("__keras_tensor__", "__tensor__", "__numpy__", "__slice__", "__ellipsis__")
_WITH_CODE: Final = ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer", "function")
_WITH_FILES: Final = ("StringLookup", "IntegerLookup", "TextVectorization")
_SAVE_AGAIN: Final = "save it with `model.save('FILE.keras')` of Keras 3"


def check_archive(path: Path) -> None:
    """Raise `ModelRefusedError` where ``path`` is too large, no Keras archive, or holds a class of others."""
    try:
        size_bytes = path.stat().st_size
    except OSError as error:
        refuse([Failure("file", f"{path} cannot be read: {error.strerror}", "name a .keras file")])
        raise
    if size_bytes > MOST_FILE_BYTES:
        found = f"{path} has {size_bytes:,} bytes, over {MOST_FILE_BYTES:,}"
        refuse([Failure("size", found, "train a smaller model")])
    config = _config(path)
    refuse(_class_failures(config))


def _config(path: Path) -> Any:
    """Return the content of `config.json`."""
    try:
        with zipfile.ZipFile(path) as archive:
            missing = [name for name in _NEEDED if name not in archive.namelist()]
            if missing:
                refuse([Failure("file", f"{path} lacks {', '.join(missing)}", _SAVE_AGAIN)])
            unpacked = sum(part.file_size for part in archive.infolist())
            if unpacked > MOST_UNPACKED_BYTES:
                found = f"{path} unpacks to {unpacked:,} bytes, over {MOST_UNPACKED_BYTES:,}"
                refuse([Failure("size", found, "train a smaller model")])
            return msgspec.json.decode(archive.read(_CONFIG))
    except (zipfile.BadZipFile, msgspec.DecodeError) as error:
        refuse([Failure("file", f"{path} is no Keras archive ({error})", _SAVE_AGAIN)])
        raise


def _class_failures(config: Any) -> list[Failure]:
    """Return what is wrong with the classes that ``config`` names, each once."""
    failures = {}
    for module, name in _classes(config):
        if name in _WITH_CODE or name == "__lambda__":
            failures[name] = Failure(
                "layers", f"{name!r} can run code that the file brings along", "build the model without it"
            )
        elif name in _WITH_FILES:
            failures[name] = Failure(
                "layers", f"{name!r} can read files", "the encoder gives indices already: leave it out"
            )
        elif name not in _VALUES and module not in _MODULES and not module.startswith(_OPERATIONS):
            failures[name] = Failure(
                "layers", f"{name!r} of {module!r} is no layer of Keras", "use layers of `keras.layers` only"
            )
    return list(failures.values())


def _classes(config: Any) -> Iterator[tuple[str, str]]:
    """Yield the module and the name of every class in ``config``, however deep; a class of others as such."""
    waiting = [config]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "class_name" in part:
                name, registered = str(part["class_name"]), part.get("registered_name")
                yield str(part.get("module") if registered in (None, name) else registered), name
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part
