"""The simulated shop's catalogue: categories, brands, prices, popularity, and new items."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from producers.simulator.season import HOUR_MS, Floats, Ints

SUCCESSORS: Final = 4
SUCCESSOR_WEIGHTS: Final = np.array([0.5, 0.25, 0.15, 0.1])
_RENEWED_SHARE: Final = 0.3
_LIFETIME_DAYS: Final = (20.0, 60.0)
_MIDDLE_PRICE: Final = 25.0
_DEPARTMENTS: Final = (
    "home",
    "kitchen",
    "garden",
    "sport",
    "toys",
    "books",
    "beauty",
    "fashion",
    "audio",
    "phones",
)
_SORTS: Final = (
    "basic",
    "classic",
    "compact",
    "large",
    "outdoor",
    "travel",
    "studio",
    "family",
    "gift",
    "pro",
)
_BRANDS: Final = (
    "alder",
    "birch",
    "cedar",
    "elm",
    "fir",
    "hazel",
    "larch",
    "maple",
    "oak",
    "pine",
    "rowan",
    "yew",
)


@dataclass(frozen=True, slots=True)
class Item:
    """One item of the catalogue. ``price`` is in the shop's currency."""

    item_id: str
    category: str
    brand: str
    price: float


class Catalogue:
    """Places on the shop's shelves, each of which holds one item at a time.

    Places are numbered 0 to ``size`` - 1 and sorted by category. An item's number is
    ``generation x size + place``: some places get a new item every few weeks, so new item ids
    come up all the time while the catalogue's size stays.
    """

    def __init__(self, size: int, rng: np.random.Generator) -> None:
        if size < 4:
            raise ValueError("a catalogue needs at least 4 items, two in each of two categories")
        self.size = size
        self.category_count = int(np.clip(size // 40, 2, len(_DEPARTMENTS) * len(_SORTS)))
        self.category_names = [
            f"{_DEPARTMENTS[c % 10]}.{_SORTS[c // 10]}" for c in range(self.category_count)
        ]
        sizes = _category_sizes(size, self.category_count)
        self.first = np.concatenate([[0], np.cumsum(sizes)[:-1]])  # [categories]
        self.count = sizes
        self.category = np.repeat(np.arange(self.category_count), sizes)  # [size]
        rank = np.arange(size) - self.first[self.category]
        self._popularity = _cumulative_within(1 / (rank + 1.0), self.category)
        popular = rng.permutation(1 / (np.arange(self.category_count) + 1.0))
        self.category_popularity = np.cumsum(popular / popular.sum())
        steps = rng.integers(1, self.count[self.category][:, None], size=(size, SUCCESSORS))
        self.successors = self.shifted(np.arange(size)[:, None], steps)  # int64[size, SUCCESSORS]
        self.brand_names = [_BRANDS[each] for each in rng.integers(0, len(_BRANDS), size)]  # by place
        level = rng.lognormal(np.log(_MIDDLE_PRICE), 0.8, self.category_count)
        self.price = np.round(level[self.category] * rng.lognormal(0.0, 0.35, size), 2) + 0.01
        self._lifetime_days = np.where(
            rng.random(size) < _RENEWED_SHARE, rng.uniform(*_LIFETIME_DAYS, size), np.inf
        )
        self._phase_days = rng.uniform(0, _LIFETIME_DAYS[1], size)

    def popular(self, category: Ints, uniform: Floats) -> Ints:
        """Return places of the given categories by Zipf's law, one for each of ``uniform`` in [0, 1)."""
        place = np.searchsorted(self._popularity, category + uniform, side="right")
        first = self.first[category]  # rounded sums may miss a category's bounds by one place
        return np.clip(place, first, first + self.count[category] - 1)

    def shifted(self, place: Ints, steps: int | Ints) -> Ints:
        """Return the places ``steps`` further in the same category, around its end."""
        category = self.category[place]
        first = self.first[category]
        return np.asarray(first + (place - first + steps) % self.count[category])

    def numbers(self, place: Ints, time_ms: Ints) -> Ints:
        """Return the numbers of the items that stand at ``place`` at the Unix times ``time_ms``."""
        days = time_ms / (24 * HOUR_MS) + self._phase_days[place]
        return np.asarray((days // self._lifetime_days[place]).astype(np.int64) * self.size + place)

    def item(self, number: int) -> Item:
        """Return the item with this number."""
        place = number % self.size
        return Item(
            item_id=item_id_of(number),
            category=self.category_names[self.category[place]],
            brand=self.brand_names[place],
            price=float(self.price[place]),
        )

    def items_at(self, time_ms: int) -> list[Item]:
        """Return the items on sale at a Unix time in milliseconds, sorted by place."""
        places = np.arange(self.size)
        return [self.item(int(each)) for each in self.numbers(places, np.full(self.size, time_ms))]


def item_id_of(number: int) -> str:
    """Return the id under which the item with this number stands in events."""
    return f"i{number}"


def _category_sizes(size: int, categories: int) -> Ints:
    """Return category sizes that fall by Zipf's law, at least two each, with the sum ``size``."""
    shares = 1 / np.sqrt(np.arange(categories) + 1.0)
    sizes: Ints = 2 + np.floor((size - 2 * categories) * shares / shares.sum()).astype(np.int64)
    sizes[0] += size - sizes.sum()
    return sizes


def _cumulative_within(weights: Floats, category: Ints) -> Floats:
    """Return running sums in which category c's weights fill the range from c to c + 1."""
    totals = np.bincount(category, weights)
    return np.asarray(np.cumsum(weights / totals[category]))
