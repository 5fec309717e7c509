"""How a worker's process ends: with a code that says why, and never later than it was told to."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Iterator

from aiokafka.errors import KafkaError

from streamer.errors import AGAIN, StreamerError

logger = logging.getLogger(__name__)


def exit_code(reason: BaseException | None) -> int:
    """Return the code that a process exits with for ``reason``: 0 for none.

    `AGAIN` where a later try may work by itself, 1 where it will not or nobody can say.
    """
    if reason is None:
        return 0
    codes = {_code(error) for error in leaves(reason)}
    return AGAIN if codes == {AGAIN} else 1


def leaves(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors inside of ``error``: itself, or those of a group."""
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            yield from leaves(inner)
    else:
        yield error


def tell_why(reason: BaseException) -> None:
    """Log what ends the worker, a line for each error."""
    for error in leaves(reason):
        logger.error("the worker ends: %s: %s", type(error).__name__, error)


def end_within(seconds: float, code: int) -> threading.Timer:
    """End this process with ``code`` in ``seconds``, unless the timer that is returned is cancelled.

    Nothing is lost by that: what was not written is done again. Clients that wait for a server that is
    gone would otherwise keep the process for ever.
    """

    def end() -> None:
        logger.error("the worker did not stop within %g s, and is cut off", seconds)
        logging.shutdown()
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    return timer


def _code(error: BaseException) -> int:
    if isinstance(error, StreamerError):
        return error.exit_code
    transient = isinstance(error, KafkaError | ConnectionError | TimeoutError)
    return AGAIN if transient else 1
