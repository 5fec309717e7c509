"""The rules of a cleaning pipeline, as data: what each looks for, by which thresholds, and what it does.

In TOML, one table a rule, applied in their order::

    [[rules]]
    rule = "near_duplicate"
    within_ms = 1000
    action = "drop"

    [[rules]]
    rule = "z_score"
    columns = ["price_against_category"]
    threshold = 6.0
    action = "flag"

``drop`` takes the event out: live, it becomes a dead letter. ``repair`` lets the encoder read another value.
``flag`` only says so. Every rule looks at the event, at what the artifact knows, and at the last events
before it in its user's window: never at other users or at a clock.
"""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

import msgspec

from model_store.errors import CleaningError

if TYPE_CHECKING:
    from pathlib import Path

PRICE_COLUMNS: Final = ("price_against_category", "price_jump")
EVENT_COLUMNS: Final = (*PRICE_COLUMNS, "log_gap")
USER_COLUMNS: Final = ("events_per_minute", "distinct_item_share", "main_type_share", "gap_variation")

Column = Literal["price", "category", "session"]
Source = Literal["item", "category"]
_Positive = Annotated[float, msgspec.Meta(gt=0)]
_Count = Annotated[int, msgspec.Meta(ge=1)]
_Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class _Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="rule", kw_only=True):
    """What all rules have. ``reason`` is the code of the dead letters that a dropping rule makes."""

    reason: ClassVar[str] = ""

    @property
    def kind(self) -> str:
        """The rule's name in a settings file."""
        return str(self.__struct_config__.tag)


class SameContent(_Rule, frozen=True, tag="same_content"):
    """The same type, item and time again under another id; times in one ``resolution_ms`` are the same."""

    reason: ClassVar[str] = "same_content"
    action: Literal["drop", "flag"] = "drop"
    resolution_ms: _Count = 1

    @property
    def label(self) -> str:
        """What a flag is called."""
        return self.kind


class NearDuplicate(_Rule, frozen=True, tag="near_duplicate"):
    """The same type and item within ``within_ms`` of an earlier event: a double click, or a second sender."""

    reason: ClassVar[str] = "near_duplicate"
    action: Literal["drop", "flag"] = "drop"
    within_ms: _Count = 1_000

    @property
    def label(self) -> str:
        """What a flag is called."""
        return self.kind


class Missing(_Rule, frozen=True, tag="missing"):
    """A value that is not there. ``fill`` says who may give one, the first that knows.

    A price comes from the ``item`` (its last one in the training part) or from the ``category`` (its median);
    a category from the item. What nobody knows stays absent, which has its own encoding. A session that is
    missing is always told by the gap rule.
    """

    reason: ClassVar[str] = "missing_value"
    column: Column
    action: Literal["drop", "repair", "flag"] = "repair"
    fill: tuple[Source, ...] = ("item", "category")

    @property
    def label(self) -> str:
        """What a flag is called."""
        return f"{self.column}_filled" if self.action == "repair" else f"{self.column}_missing"


class _Anomaly(_Rule, frozen=True):
    """A value far from those of the training part, in any or all of ``columns``.

    Columns are of events (`EVENT_COLUMNS`) or of users (`USER_COLUMNS`). User columns are looked at where the
    newest ``least_events`` events of the window came at ``least_events_per_minute`` or faster. ``repair``
    takes the price for missing, and asks for price columns only.
    """

    reason: ClassVar[str] = "anomaly"
    columns: tuple[str, ...]
    action: Literal["drop", "repair", "flag"] = "flag"
    least_events: Annotated[int, msgspec.Meta(ge=2, le=20)] = 10
    least_events_per_minute: _Positive = 4.0

    @property
    def over_users(self) -> bool:
        """Whether the columns are of users."""
        return self.columns[0] in USER_COLUMNS

    @property
    def label(self) -> str:
        """What a flag is called."""
        return f"{'user' if self.over_users else 'event'}_{self.kind}"


class ZScore(_Anomaly, frozen=True, tag="z_score"):
    """Over ``threshold`` standard deviations from the mean in any column."""

    threshold: _Positive = 6.0


class InterquartileRange(_Anomaly, frozen=True, tag="interquartile_range"):
    """Over ``reach`` times the distance of the quartiles outside of them in any column (Tukey 1977)."""

    reach: _Positive = 3.0


class IsolationForestRule(_Anomaly, frozen=True, tag="isolation_forest"):
    """Quickly isolated by random cuts (Liu, Ting and Zhou 2008, doi:10.1109/ICDM.2008.17).

    As anomalous as the outermost ``contamination`` of the training part. Only what lies outside the middle
    ``screen`` of some column is asked about: the rest is normal by definition, and costs next to nothing.
    """

    contamination: _Share = 0.001
    trees: _Count = 50
    sample: Annotated[int, msgspec.Meta(ge=2, le=4_096)] = 256
    screen: _Share = 0.99


class LocalOutlierFactorRule(_Anomaly, frozen=True, tag="local_outlier_factor"):
    """Thinner around it than around its neighbours (Breunig et al. 2000, doi:10.1145/342009.335388).

    The neighbours are among at most ``reference_points`` distinct points of the training part, each column
    scaled to a deviation of 1. ``contamination`` and ``screen`` as for the isolation forest.
    """

    contamination: _Share = 0.001
    neighbours: _Count = 20
    reference_points: Annotated[int, msgspec.Meta(ge=2, le=4_096)] = 256
    screen: _Share = 0.99


Duplicate = SameContent | NearDuplicate
Anomaly = ZScore | InterquartileRange | IsolationForestRule | LocalOutlierFactorRule
Rule = SameContent | NearDuplicate | Missing | Anomaly

MOST_RULES: Final = 31  # a bit of an int64 for each


class _RuleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rules: tuple[Rule, ...]


def default_rules(*, timed: bool = True, resolution_ms: int = 1) -> tuple[Rule, ...]:
    """Return the rules for a log whose times are known to ``resolution_ms``, or only an order.

    What needs finer times than the log has is left out. So is the local outlier factor: it costs as much as
    the forest and finds the same prices.
    """
    same = (SameContent(resolution_ms=resolution_ms),) if timed else ()
    near = (NearDuplicate(),) if timed and resolution_ms <= NearDuplicate().within_ms else ()
    missing = (
        Missing(column="category", fill=("item",)),
        Missing(column="price"),
        Missing(column="session"),
    )
    prices = (
        ZScore(columns=("price_against_category",), threshold=6.0),
        InterquartileRange(columns=("price_jump",), reach=10.0),
        IsolationForestRule(columns=PRICE_COLUMNS),
    )
    users = (IsolationForestRule(columns=USER_COLUMNS, contamination=0.01),) if near else ()
    return (*same, *near, *missing, *prices, *users)


def load_rules(path: Path) -> tuple[Rule, ...]:
    """Return the rules of a TOML file. Raises `CleaningError` where it cannot be read or is wrong."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise CleaningError(f"cannot read the rules {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CleaningError(f"the rules {path} are not TOML: {error}") from error
    return rules_of(document)


def rules_of(document: Any) -> tuple[Rule, ...]:
    """Return the rules in ``document``, ``{"rules": [...]}``. Raises `CleaningError`."""
    try:
        rules = msgspec.convert(document, _RuleFile, strict=True).rules
    except msgspec.ValidationError as error:
        raise CleaningError(f"the rules are wrong: {error}; docs/data.md has examples") from error
    check_rules(rules)
    return rules


def check_rules(rules: tuple[Rule, ...]) -> None:
    """Raise `CleaningError` where rules cannot be applied."""
    if len(rules) > MOST_RULES:
        raise CleaningError(f"there are {len(rules)} rules; at most {MOST_RULES} can be applied")
    for rule in rules:
        if isinstance(rule, Anomaly):
            _check_columns(rule)
        elif isinstance(rule, Missing) and rule.column == "session" and rule.action == "drop":
            raise CleaningError("a missing session is told by the gap rule: let its action be repair or flag")


def _check_columns(rule: Anomaly) -> None:
    columns, kinds = set(rule.columns), (EVENT_COLUMNS, USER_COLUMNS)
    if not columns or not any(columns <= set(kind) for kind in kinds):
        raise CleaningError(
            f"{rule.kind}: the columns {list(rule.columns)} must be some of {', '.join(EVENT_COLUMNS)}, "
            f"or some of {', '.join(USER_COLUMNS)}"
        )
    if len(columns) < len(rule.columns):
        raise CleaningError(f"{rule.kind}: a column is named twice in {list(rule.columns)}")
    if rule.action == "repair" and not columns <= set(PRICE_COLUMNS):
        raise CleaningError(
            f"{rule.kind}: only a price can be repaired; name {' or '.join(PRICE_COLUMNS)}, or let it flag"
        )
