"""What becomes of a batch's events, before it is Kafka's: predictions as keys and JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model_store.kernels.text import Texts


@dataclass(frozen=True)
class Predictions:
    """Predictions as records: the key of each, its user's id, and its JSON, a piece of ``values``.

    Iterating gives key and value.
    """

    keys: Sequence[bytes]
    values: Texts

    def __len__(self) -> int:
        return len(self.keys)

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        bounds = zip(self.values.starts.tolist(), self.values.ends.tolist(), strict=True)
        for key, (start, end) in zip(self.keys, bounds, strict=True):
            yield key, self.values.text[start:end].tobytes()

    def part(self, first: int, end: int) -> Predictions:
        """Return those from ``first`` to ``end``."""
        text, starts, ends, longest = self.values
        return Predictions(self.keys[first:end], Texts(text, starts[first:end], ends[first:end], longest))
