"""From the stored rows of a window to the numbers that a network reads: one encoder for training and serving.

Every feature of an event is a function of its own row and of its `Lookback`, so the same call serves a
whole log, a window and one live event. Index 0 of the items and of the categories stands for unknown
and for absent. The features are declared in `model_store.features.table`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import msgspec
import numpy as np
import numpy.typing as npt

from model_store.chunks import stretches
from model_store.churn.visits import VISIT_LOOKBACK, visit_statistics
from model_store.cleaning.pipeline import Cleaning, load_cleaning
from model_store.errors import FileAbsentError, FileCorruptError
from model_store.features.encoding import fill_inputs
from model_store.features.groups import DEFAULT_GROUPS
from model_store.features.seen import TYPES, learned_of
from model_store.features.statistics import EncoderStatistics, statistics_of
from model_store.features.table import CODES, Feature, features_named, features_of
from model_store.kernels.lookup import Table
from model_store.kernels.rows import kernel_rows
from model_store.lookback import Lookback, lookback_in_windows
from model_store.vocabulary import Lookup, vocabulary_of
from model_store.windows import Rows, category_fingerprints, item_fingerprints, row_items

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ENCODER_FILE: Final = "encoder.json"
ITEM_COUNTS_FILE: Final = "item_counts.npy"
_STATISTICS_EVENTS: Final = 1_000_000
_NO_COLUMNS: Final = np.empty((0, 2), np.int64)


@dataclass(frozen=True)
class Inputs:
    """What a network reads of each event: three indices, int32 [...], and ``numeric`` float32 [..., F].

    ``visits`` float32 [..., S] are the `visit_statistics` of a model that corrects its hazard by them, and
    ``extra`` float32 [..., X] the features that a model's companion reads beside ``numeric``.
    """

    item: npt.NDArray[np.int32]
    event_type: npt.NDArray[np.int32]
    category: npt.NDArray[np.int32]
    numeric: npt.NDArray[np.float32]
    visits: npt.NDArray[np.float32] | None = None
    extra: npt.NDArray[np.float32] | None = None

    def take(self, indices: npt.NDArray[np.int64]) -> Inputs:
        """Return the inputs at ``indices`` (int64 of any shape) of the first axis."""
        return Inputs(
            item=self.item[indices],
            event_type=self.event_type[indices],
            category=self.category[indices],
            numeric=self.numeric[indices],
            visits=None if self.visits is None else self.visits[indices],
            extra=None if self.extra is None else self.extra[indices],
        )


class _Stored(msgspec.Struct, frozen=True):
    features: list[str]
    statistics: EncoderStatistics
    items: list[str]
    categories: list[str]


class Encoder:
    """Encodes rows. ``items`` and ``categories`` give the text of each index; text 0 is empty.

    ``item_counts`` (int64 [V]) says how often each item stood in the training part, the unknown ones
    together at 0. ``features`` are what ``Inputs.numeric`` holds, in this order;
    ``numeric_features`` says how many numbers they are.
    """

    def __init__(
        self,
        items: Sequence[str],
        categories: Sequence[str],
        item_counts: npt.NDArray[np.int64],
        statistics: EncoderStatistics,
        features: Sequence[Feature] | None = None,
        cleaning: Cleaning | None = None,
    ) -> None:
        """Take the parts of an encoder. ``features`` None takes those of `DEFAULT_GROUPS`.

        Rows are encoded as ``cleaning`` repairs them, where the model has such a pipeline.
        """
        self.cleaning = cleaning
        self.items = list(items)
        self.categories = list(categories)
        self.item_counts = item_counts
        self.statistics = statistics
        self.features = tuple(features_of(DEFAULT_GROUPS, statistics) if features is None else features)
        self.places = _places(self.features, statistics)
        self.numeric_features = _width(self.places)
        self.extra: tuple[Feature, ...] = ()
        self.extra_features = 0
        self._features_read = max((feature.reads for feature in self.features), default=0)
        self.lookback_events = self._features_read
        self._tells_visits = False
        self._learned = learned_of(statistics)
        self._columns, self._extra_columns = _columns(self.places), _columns({})
        self._items = Lookup(item_fingerprints(self.items[1:]))
        self._categories = Lookup(category_fingerprints(self.categories[1:]))

    @classmethod
    def fit(
        cls,
        rows: Rows,
        item_ids: Mapping[int, str],
        category_names: Mapping[int, str],
        *,
        min_count: int,
        timed: bool,
        feature_groups: Iterable[str] = DEFAULT_GROUPS,
    ) -> Encoder:
        """Return an encoder of the items and categories that stand at least ``min_count`` times in ``rows``.

        ``item_ids`` and ``category_names`` give the text of each fingerprint in ``rows``. The most
        frequent come first, equals by fingerprint. ``timed`` is False where the times of the rows are
        only an order. Of ``feature_groups`` stay the features that ``rows`` can teach; of a long log, every
        second, third, ... row is taken for that. Raises `TrainingError` when there is no such group.
        """
        items, counts = vocabulary_of(map(row_items, stretches(rows)), item_ids, min_count)
        codes = (some["category"].astype(np.uint64) for some in stretches(rows))
        categories, _ = vocabulary_of(codes, category_names, min_count)
        rows = rows[:: max(len(rows) // _STATISTICS_EVENTS, 1)]
        known = Lookup(category_fingerprints(categories[1:]))
        category = known.indices(rows["category"].astype(np.uint64))
        statistics = statistics_of(rows, category, len(categories), timed=timed)
        return cls(items, categories, counts, statistics, features_of(feature_groups, statistics))

    def tell_visits(self) -> None:
        """Let inputs carry the visit statistics from now on."""
        self._tells_visits = True
        self.lookback_events = max(self.lookback_events, VISIT_LOOKBACK)

    def tell_extra(self, features: Sequence[Feature]) -> None:
        """Let inputs carry ``features`` too from now on, as `Inputs.extra`, ``extra_features`` numbers."""
        self.extra = tuple(features)
        places = _places(features, self.statistics)
        self.extra_features, self._extra_columns = _width(places), _columns(places)
        self._features_read = max((feature.reads for feature in (*self.features, *features)), default=0)
        self.lookback_events = max(self.lookback_events, self._features_read)

    def encode(self, rows: Rows, lookback: Lookback) -> Inputs:
        """Return the inputs of ``rows`` [B], each with its past in ``lookback``.

        It must reach back at least `lookback_events`; rows further back are not read.
        """
        inputs = self._encoded(lookback, self._extra_columns, self.extra_features)
        return replace(inputs, visits=visit_statistics(rows, lookback)) if self._tells_visits else inputs

    def encode_for_network(self, lookback: Lookback) -> Inputs:
        """Return what the network's body reads of the events of ``lookback``: `encode` less the rest."""
        return self._encoded(lookback, _NO_COLUMNS, 0)

    def _encoded(
        self, lookback: Lookback, extra_columns: npt.NDArray[np.int64], extra_features: int
    ) -> Inputs:
        if self.cleaning is None:
            source, index = lookback.kernel_source, lookback.index
        else:
            own = lookback.copied()
            source, index = kernel_rows(self.cleaning.repaired(own.source)), own.index
        indices = np.empty((3, len(index)), np.int32)
        numeric = np.empty((len(index), self.numeric_features), np.float32)
        extra = np.empty((len(index), extra_features), np.float32)
        fill_inputs(
            source,
            index,
            lookback.length,
            self._features_read,
            self._items.table,
            self._categories.table,
            self._learned,
            self._columns,
            extra_columns,
            indices,
            numeric,
            extra,
            np.empty((2, TYPES + 1), np.int64),
        )
        item, event_type, category = indices
        return Inputs(item, event_type, category, numeric, None, extra if extra_features else None)

    def encode_window(self, rows: Rows) -> Inputs:
        """Return the inputs of a whole window, oldest event first."""
        return self.encode_windows(rows, np.array([len(rows)]))

    def encode_windows(self, rows: Rows, lengths: npt.NDArray[np.int64]) -> Inputs:
        """Return the inputs of ``rows`` [E]: whole windows of ``lengths`` [W], one after another."""
        return self.encode(rows, lookback_in_windows(rows, lengths, self.lookback_events))

    def item_indices(self, rows: Rows) -> npt.NDArray[np.int32]:
        """Return the item index of each row, 0 where the item is unknown or absent."""
        return self.indices_of_items(row_items(rows))

    @property
    def item_fingerprints(self) -> npt.NDArray[np.uint64]:
        """The fingerprint of the item at each index, uint64[V]; 0 for the unknown ones."""
        return self._items.table.keys

    @property
    def item_table(self) -> Table:
        """Where kernels find an item's index by its fingerprint."""
        return self._items.table

    def indices_of_items(self, items: npt.NDArray[np.uint64]) -> npt.NDArray[np.int32]:
        """Return the index of each item's fingerprint, in their shape, 0 where it is unknown or absent."""
        return self._items.indices(items)

    def save(self, directory: Path) -> None:
        """Write the encoder into ``directory``: `encoder.json`, `item_counts.npy`, and its cleaning."""
        names = [feature.name for feature in self.features]
        stored = _Stored(names, self.statistics, self.items, self.categories)
        (directory / ENCODER_FILE).write_bytes(msgspec.json.encode(stored))
        np.save(directory / ITEM_COUNTS_FILE, self.item_counts, allow_pickle=False)
        if self.cleaning is not None:
            self.cleaning.save(directory)

    @classmethod
    def load(cls, directory: Path) -> Encoder:
        """Return the encoder in ``directory``.

        Raises `FileAbsentError`, `FileCorruptError`, or `FormatTooNewError` where it names a feature that
        this release does not know.
        """
        try:
            stored = msgspec.json.decode((directory / ENCODER_FILE).read_bytes(), type=_Stored)
            counts = np.load(directory / ITEM_COUNTS_FILE, allow_pickle=False)
        except FileNotFoundError as error:
            raise FileAbsentError(
                f"the encoder is not whole in {directory}: train the model again"
            ) from error
        except (msgspec.DecodeError, ValueError, EOFError) as error:
            raise FileCorruptError(
                f"the encoder in {directory} cannot be read: train the model again"
            ) from error
        features = features_named(stored.features)
        cleaning = load_cleaning(directory)
        return cls(stored.items, stored.categories, counts, stored.statistics, features, cleaning)


def _places(features: Sequence[Feature], statistics: EncoderStatistics) -> dict[str, slice]:
    """Return the columns of each feature in ``Inputs.numeric``, by name."""
    places, start = {}, 0
    for feature in features:
        stop = start + feature.width(statistics)
        places[feature.name] = slice(start, stop)
        start = stop
    return places


def _width(places: Mapping[str, slice]) -> int:
    return sum(place.stop - place.start for place in places.values())


def _columns(places: Mapping[str, slice]) -> npt.NDArray[np.int64]:
    """Return the code of each feature and its first column, [N, 2], as `fill_inputs` reads them."""
    starts = [(CODES[name], place.start) for name, place in places.items()]
    return np.array(starts, np.int64).reshape(-1, 2)
