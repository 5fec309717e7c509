"""Importing TensorFlow without what it has to say about the machine."""

from __future__ import annotations

import os
import sys
import tempfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_STDERR: Final = 2


@contextmanager
def importing_tensorflow() -> Iterator[None]:
    """Hold back what is written to standard error inside; where the import fails, show it after all.

    TensorFlow writes from C++ before any level can be set, so the file descriptor itself is turned aside.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(_STDERR)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), _STDERR)
        try:
            yield
        except BaseException:
            os.dup2(kept, _STDERR)
            aside.seek(0)
            os.write(_STDERR, aside.read())
            raise
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
