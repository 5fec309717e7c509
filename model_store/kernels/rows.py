"""Reading a window's packed rows in kernels: `model_store.windows.EVENT_ROW`, field by field."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from model_store.kernels import compiled_bare
from model_store.windows import EVENT_ROW, SESSION_GAP_MS, Rows

# Numba has no float16 of its own, so the price is read as its bits.
_BITS_ROW: Final = np.dtype(
    [(name, "<u2" if name == "log_price" else EVENT_ROW[name]) for name in EVENT_ROW.names or ()]
)
_SIGN, _EXPONENT, _FRACTION = 0x8000, 0x7C00, 0x03FF
_GAP_MS: Final = SESSION_GAP_MS


def kernel_rows(rows: Rows) -> npt.NDArray[Any]:
    """Return ``rows`` as all kernels take them, so that each is compiled once: read-only and contiguous."""
    view = np.ascontiguousarray(rows).view(np.ndarray).view(_BITS_ROW)
    view.flags.writeable = False
    return view


@compiled_bare
def time_of(row: Any) -> Any:
    """Return the event time of a row, Unix milliseconds."""
    return np.int64(row["time_low"]) | (np.int64(row["time_high"]) << 32)


@compiled_bare
def item_of(row: Any) -> Any:
    """Return the item's fingerprint, 0 where there is none."""
    return np.uint64(row["item_low"]) | (np.uint64(row["item_high"]) << np.uint64(32))


@compiled_bare
def log_price_of(row: Any) -> Any:
    """Return log(1 + price), NaN where there is none, from the field's 16 bits (IEEE 754 binary16)."""
    bits = np.int64(row["log_price"])
    exponent, fraction = (bits & _EXPONENT) >> 10, np.float64(bits & _FRACTION)
    if exponent == 31:
        return np.nan if fraction else np.inf
    size = fraction * 2.0**-24 if exponent == 0 else (1024.0 + fraction) * 2.0 ** (exponent - 25)
    return -size if bits & _SIGN else size


@compiled_bare
def begins_session(row: Any, before: Any) -> Any:
    """Tell whether ``row`` starts a session behind ``before``, by `model_store.windows.starts_session`."""
    if row["session"] != 0 and before["session"] != 0:
        return row["session"] != before["session"]
    return time_of(row) - time_of(before) > _GAP_MS
