"""What a training part knows of its items and categories, and how that fills what an event lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from model_store.windows import Rows, row_items, row_times_ms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from model_store.cleaning.rules import Missing, Source

Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]

SOURCES: Final[tuple[Source, ...]] = ("item", "category")
_MAGNITUDE: Final = np.uint16(0x7FFF)  # all bits of a float16 but the sign
_INFINITE: Final = np.uint16(0x7C00)


class Known(NamedTuple):
    """Prices are log(1 + price) as in a row, NaN where none was seen; a category 0 is none.

    ``items`` uint64 [I] and ``categories`` uint32 [C] are sorted fingerprints; ``item_log_price`` float16
    [I] is the item's last price, ``item_category`` uint32 [I] its last category, ``category_log_price``
    float16 [C] the category's median price.
    """

    items: npt.NDArray[np.uint64]
    item_log_price: npt.NDArray[np.float16]
    item_category: npt.NDArray[np.uint32]
    categories: npt.NDArray[np.uint32]
    category_log_price: npt.NDArray[np.float16]

    @classmethod
    def fit(cls, rows: Rows) -> Known:
        """Return what ``rows`` [E], in any order, know; of an item's events at one time, the last row."""
        by_time = rows[np.argsort(row_times_ms(rows), kind="stable")]
        item, price = row_items(by_time), by_time["log_price"]
        items = np.unique(item[item != 0])
        item_price = np.full(len(items), np.nan, np.float16)
        item_category = np.zeros(len(items), np.uint32)
        priced = (item != 0) & ~np.isnan(price)
        item_price[np.searchsorted(items, item[priced])] = price[priced]  # the last assignment stays
        named = (item != 0) & (by_time["category"] != 0)
        item_category[np.searchsorted(items, item[named])] = by_time["category"][named]
        categories, medians = _medians(by_time)
        return cls(items, item_price, item_category, categories, medians)

    def item_prices(self, items: npt.NDArray[np.uint64]) -> Floats:
        """Return the last log price of each of ``items``, any shape; NaN where none is known."""
        return _looked_up(self.items, self.item_log_price, items, np.nan).astype(np.float32)

    def category_prices(self, categories: npt.NDArray[np.uint32]) -> Floats:
        """Return the median log price of each of ``categories``, any shape; NaN where none is known."""
        found = _looked_up(self.categories, self.category_log_price, categories, np.nan)
        return found.astype(np.float32)

    def categories_of(self, items: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
        """Return the category of each of ``items``, any shape; 0 where none is known."""
        return _looked_up(self.items, self.item_category, items, 0)

    def filled(self, rows: Rows, rules: Sequence[Missing]) -> Rows:
        """Return ``rows`` (any shape) with what the repairing ``rules`` fill; the same array if nothing is.

        A category is filled before a price, so that it can give one.
        """
        for rule in sorted(rules, key=lambda rule: rule.column):
            flat = rows.reshape(-1)
            places = np.flatnonzero(missing(flat, rule))
            lacking = flat.take(places)
            with_item = row_items(lacking) != 0  # a search lacks nothing
            if not with_item.any():
                continue
            rows = _copied(rows)
            column = "log_price" if rule.column == "price" else rule.column
            rows.reshape(-1)[column][places[with_item]] = self._values(lacking[with_item], rule)
        return rows

    def _values(self, rows: Rows, rule: Missing) -> npt.NDArray[np.generic]:
        """Return what fills the column of ``rows``, which lack it; as absent where nobody knows."""
        if rule.column == "category":
            known = self.categories_of(row_items(rows))
            return known if "item" in rule.fill else np.zeros_like(known)
        prices = np.full(len(rows), np.nan, np.float32)
        for source in rule.fill:
            found = self._prices(rows, source)
            prices = np.where(np.isnan(prices), found, prices)
        return prices.astype(np.float16)

    def _prices(self, rows: Rows, source: Source) -> Floats:
        if source == "item":
            return self.item_prices(row_items(rows))
        return self.category_prices(rows["category"])


def _copied(rows: Rows) -> Rows:
    """Return a contiguous copy, made as plain bytes: field by field it would take ten times as long."""
    plain = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.dtype.itemsize)))
    return plain.copy().view(rows.dtype)


def missing(rows: Rows, rule: Missing) -> Mask:
    """Tell which of ``rows``, any shape, lack the column of ``rule``."""
    if rule.column == "price":
        # as np.isnan says, which takes three times as long for half precision
        nan: Mask = rows["log_price"].view("<u2") & _MAGNITUDE > _INFINITE
        return nan
    absent: Mask = rows[rule.column] == 0
    return absent


def _looked_up(
    keys: npt.NDArray[np.unsignedinteger],
    values: npt.NDArray[np.generic],
    wanted: npt.NDArray[np.generic],
    absent: float,
) -> npt.NDArray:  # type: ignore[type-arg]
    if not len(keys):
        return np.full(wanted.shape, absent, values.dtype)
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], values.dtype.type(absent))


def _medians(rows: Rows) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.float16]]:
    """Return the categories with a price, sorted, and the lower median of each one's log prices."""
    priced = rows[(rows["category"] != 0) & ~np.isnan(rows["log_price"])]
    category, price = priced["category"], priced["log_price"]
    order = np.lexsort((price, category))
    categories, first, counts = np.unique(category[order], return_index=True, return_counts=True)
    return categories, price[order][first + (counts - 1) // 2]
