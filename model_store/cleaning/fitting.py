"""Fitting the detectors. scikit-learn is imported here alone: a worker reads arrays."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest as SkIsolationForest
from sklearn.neighbors import LocalOutlierFactor as SkLocalOutlierFactor

from model_store.cleaning.detectors import LEAST_SPREAD, Bounds, Detector, Doubles, Floats, Screened
from model_store.cleaning.isolation_forest import IsolationForest, expected_path
from model_store.cleaning.local_outlier_factor import LocalOutlierFactor, density_of
from model_store.cleaning.rules import (
    Anomaly,
    InterquartileRange,
    IsolationForestRule,
    LocalOutlierFactorRule,
    ZScore,
)

LEAST_ROWS: Final = 30
_DISTINCT_DECIMALS: Final = 3


def fit_detector(rule: Anomaly, values: Floats, seed: int = 0) -> Detector | None:
    """Return what ``rule`` learns of ``values`` [B, C].

    None where they are too few, or, for the forest and the factor, all alike.
    """
    if len(values) < LEAST_ROWS:
        return None
    if isinstance(rule, ZScore):
        return _deviations(rule, values)
    if isinstance(rule, InterquartileRange):
        return _quartiles(rule, values)
    if not np.ptp(values, axis=0).any():
        return None
    if isinstance(rule, IsolationForestRule):
        return _screened(rule, values, export_forest(_fitted_forest(rule, values, seed)), scaled=False)
    return _fitted_factor(rule, values, seed)


def _deviations(rule: ZScore, values: Floats) -> Bounds:
    centre, scale = _centre_and_scale(values)
    return Bounds(centre - rule.threshold * scale, centre + rule.threshold * scale)


def _quartiles(rule: InterquartileRange, values: Floats) -> Bounds:
    first, third = np.quantile(values.astype(np.float64), [0.25, 0.75], axis=0)
    reach = rule.reach * np.maximum(third - first, LEAST_SPREAD)
    return Bounds(first - reach, third + reach)


def _fitted_forest(rule: IsolationForestRule, values: Floats, seed: int) -> SkIsolationForest:
    sample = min(rule.sample, len(values))
    return SkIsolationForest(n_estimators=rule.trees, max_samples=sample, random_state=seed).fit(values)


def export_forest(forest: SkIsolationForest) -> IsolationForest:
    """Return a fitted scikit-learn forest, whose trees all see every column, as plain arrays."""
    trees = [estimator.tree_ for estimator in forest.estimators_]
    roots = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
    columns, thresholds, lefts, rights, paths = [], [], [], [], []
    for root, tree in zip(roots, trees, strict=True):
        own = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        columns.append(np.where(leaf, 0, tree.feature))
        thresholds.append(np.where(leaf, 0.0, tree.threshold))
        lefts.append(root + np.where(leaf, own, tree.children_left))
        rights.append(root + np.where(leaf, own, tree.children_right))
        paths.append(_depths(tree.children_left, tree.children_right) + expected_path(tree.n_node_samples))
    return IsolationForest(
        column=np.concatenate(columns).astype(np.int32),
        threshold=np.concatenate(thresholds),
        left=np.concatenate(lefts).astype(np.int32),
        right=np.concatenate(rights).astype(np.int32),
        path=np.concatenate(paths),
        roots=roots.astype(np.int32),
        depth=np.array(max(tree.max_depth for tree in trees)),
        normal_path=expected_path(np.array(forest.max_samples_)),
    )


def _depths(left: npt.NDArray[np.int64], right: npt.NDArray[np.int64]) -> Doubles:
    """Return the number of cuts above each node; a child always stands behind its parent."""
    depth = np.zeros(len(left))
    for node in np.flatnonzero(left >= 0):
        depth[[left[node], right[node]]] = depth[node] + 1
    return depth


def _fitted_factor(rule: LocalOutlierFactorRule, values: Floats, seed: int) -> Screened | None:
    centre, scale = _centre_and_scale(values)
    # equal points have no density: each counts once
    points = np.unique(np.round((values - centre) / scale, _DISTINCT_DECIMALS), axis=0)
    neighbours = min(rule.neighbours, rule.reference_points - 1)
    if len(points) <= neighbours:
        return None
    if len(points) > rule.reference_points:
        chosen = np.random.default_rng(seed).choice(len(points), rule.reference_points, replace=False)
        points = points[np.sort(chosen)]
    fitted = SkLocalOutlierFactor(n_neighbors=neighbours, novelty=True, algorithm="brute").fit(points)
    return _screened(rule, values, export_factor(fitted, points), scaled=True)


def export_factor(fitted: SkLocalOutlierFactor, points: Doubles) -> LocalOutlierFactor:
    """Return a scikit-learn factor, fitted on ``points`` with ``novelty``, as plain arrays."""
    distance, index = fitted.kneighbors()
    last_distance = distance[:, -1]
    return LocalOutlierFactor(
        points=points.astype(np.float64),
        density=density_of(distance, last_distance[index]),
        last_distance=last_distance,
        neighbours=np.array(fitted.n_neighbors_),
    )


def _screened(
    rule: IsolationForestRule | LocalOutlierFactorRule,
    values: Floats,
    model: IsolationForest | LocalOutlierFactor,
    *,
    scaled: bool,
) -> Screened:
    """Return the detector whose offset cuts off the share ``rule.contamination`` of ``values``."""
    width = values.shape[1]
    centre, scale = _centre_and_scale(values) if scaled else (np.zeros(width), np.ones(width))
    outside = (1.0 - rule.screen) / 2.0
    low, high = np.quantile(values.astype(np.float64), [outside, 1.0 - outside], axis=0)
    # without a screen everything is asked about
    screen = Bounds(low, high) if rule.screen else Bounds(np.full(width, np.inf), np.full(width, -np.inf))
    asking = Screened(screen, centre, scale, np.array(0.0), model)
    offset = np.quantile(asking.scores(values), rule.contamination)
    return Screened(screen, centre, scale, np.array(offset), model)


def _centre_and_scale(values: Floats) -> tuple[Doubles, Doubles]:
    wide = values.astype(np.float64)
    return wide.mean(axis=0), np.maximum(wide.std(axis=0), LEAST_SPREAD)
