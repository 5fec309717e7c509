"""A `.npy` file whose length is known only at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    import numpy.typing as npt


class ArrayFile:
    """An array that is appended to on disk, and is a `.npy` file once closed."""

    _HEADER_BYTES: Final = 1_024  # room for a length that is known only at the end

    def __init__(self, path: Path, dtype: np.dtype[np.generic]) -> None:
        self._dtype = dtype
        self._count = 0
        self._file: BinaryIO = path.open("wb")
        self._file.write(bytes(self._HEADER_BYTES))

    def append(self, values: npt.NDArray[np.generic]) -> None:
        """Write ``values`` [N] behind what is there."""
        self._file.write(np.ascontiguousarray(values, self._dtype).data)
        self._count += len(values)

    def close(self) -> None:
        """Write the header in front: version 1.0 of NumPy's format, padded to a fixed length."""
        described = {
            "descr": np.lib.format.dtype_to_descr(self._dtype),
            "fortran_order": False,
            "shape": (self._count,),
        }
        magic = np.lib.format.magic(1, 0)
        room = self._HEADER_BYTES - len(magic) - 2
        text = repr(described).encode("latin1").ljust(room - 1) + b"\n"
        self._file.seek(0)
        self._file.write(magic + room.to_bytes(2, "little") + text)
        self._file.close()
