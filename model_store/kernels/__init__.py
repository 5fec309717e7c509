"""Loops over a batch's events, compiled by Numba: what NumPy would do in many passes over short arrays.

A kernel may call those of any file of this package and of `model_store.features`, and nothing else of ours.
Compiled code is kept on disk under the digest of both, because Numba itself looks only at the file of the
function that is called, and would go on with the old code of another.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

import numba
import xxhash
from numba.core import config

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")

_HERE: Final = Path(__file__).parent


def compiled(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return ``function`` compiled at its first call with arguments of new types, or read from disk.

    It runs without the interpreter's lock, so the event loop goes on beside the scoring thread. Arithmetic
    is IEEE's, in the order in which it is written. Where nothing can be written to disk, every process
    compiles for itself.
    """
    return _compiled(function)


def compiled_bare(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return ``function`` compiled as by `compiled`. It makes no arrays; the compiler refuses one that does.

    So references to arrays are not counted whenever one is handed on, which small kernels do at every event.
    """
    return _compiled(function, _nrt=False)


def compiled_brief(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Return ``function`` compiled as by `compiled_bare`, to run with the interpreter's lock.

    For what takes less than 0.3 ms for the largest group, and microseconds for a small one: who lets go of
    the lock for so little may wait long until the event loop gives it back.
    """
    return _compiled(function, _nrt=False, nogil=False)


def _compiled(
    function: Callable[Parameters, Result], *, nogil: bool = True, **options: bool
) -> Callable[Parameters, Result]:
    compiler: Any = numba.njit
    try:
        kernel: Callable[Parameters, Result] = compiler(function, cache=True, nogil=nogil, **options)
    except RuntimeError:  # no directory is writable
        kernel = compiler(function, nogil=nogil, **options)
    return kernel


def _cache_directory() -> str:
    """Return where this release's compiled kernels go: beside their source, else in the user's cache."""
    digest = xxhash.xxh3_64(numba.__version__.encode())
    for path in sorted((*_HERE.glob("*.py"), *_HERE.with_name("features").glob("*.py"))):
        digest.update(path.read_bytes())
    beside = _HERE / "__pycache__"
    try:
        beside.mkdir(exist_ok=True)
        writable = os.access(beside, os.W_OK)
    except OSError:
        writable = False
    cache = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return str((beside if writable else Path(cache, "foreclick", "kernels")) / digest.hexdigest())


_config: Any = config  # its settings are read from the environment, so no type checker sees them
if not _config.CACHE_DIR:  # NUMBA_CACHE_DIR names another
    _config.CACHE_DIR = _cache_directory()


def kept_in() -> Path:
    """Return the directory of the compiled kernels. It need not exist, where nothing can be written."""
    return Path(_config.CACHE_DIR)
