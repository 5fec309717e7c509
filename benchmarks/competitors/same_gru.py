"""The benchmark's GRU for those who have no foreclick: NumPy, faiss, and the files of our artifact.

It is run over each window from zero, all windows of a batch side by side, as is right for any system that
keeps windows and calls a model on batches. It is lighter than what foreclick computes, always to the
competitor's advantage: the item, type and category vectors are multiplied with the kernel beforehand; of the
encoder's numbers only price and gap are read, and the others, which foreclick works out, are spared; the
purchase in the session, the companion, the correction of churn and the window's own items are left out.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np

try:
    from orjson import dumps as encode_json
    from orjson import loads as decode_json
except ImportError:  # the two that run on Faust stand in foreclick's own environment
    from msgspec.json import decode as decode_json
    from msgspec.json import encode as encode_json

__all__ = ["NEXT_ITEMS", "ROW_BYTES", "WINDOW", "SameGru", "decode_json", "encode_json", "pushed"]

NEXT_ITEMS = 10
WINDOW = 20
DECIMALS = 6
TYPES = ("view", "cart", "remove_from_cart", "favorite", "purchase", "search")
ROW = struct.Struct("<iiifq")  # item, type, category, log price, time in ms
ROW_BYTES = ROW.size
ROW_DTYPE = np.dtype([("item", "<i4"), ("type", "<i4"), ("category", "<i4"), ("price", "<f4"), ("ms", "<i8")])


def pushed(window: bytes | None, row: bytes) -> bytes:
    """Return ``window`` with one more packed event, and the oldest one dropped if it was full."""
    return ((window or b"") + row)[-WINDOW * ROW_BYTES :]


class SameGru:
    """The network, its vocabulary and its item index."""

    def __init__(self, artifact: Path) -> None:
        shape = json.loads((artifact / "network.json").read_text())
        words = json.loads((artifact / "encoder.json").read_text())
        self._items: list[str] = words["items"]
        self._item_of = {name: number for number, name in enumerate(self._items)}
        self._category_of = {name: number for number, name in enumerate(words["categories"])}
        self._actions: list[str] = shape["action_names"]
        self._scale = float(shape["item_logit_scale"])
        self._units = units = int(shape["units"])
        with np.load(artifact / "weights.npz") as weights:
            self._set_weights(weights, shape, units)
        faiss.omp_set_num_threads(1)
        self._index: Any = None
        if (artifact / "items.faiss").exists():
            self._index = faiss.read_index(str(artifact / "items.faiss"))
            self._index.nprobe = json.loads((artifact / "index.json").read_text())["probes"]

    def _set_weights(self, weights: Mapping[str, Any], shape: Mapping[str, Any], units: int) -> None:
        halves = np.repeat(np.array([0.5, 1.0], np.float32), [2 * units, units])
        kernel, bias = weights["gru_kernel"] * halves, weights["gru_bias"]
        items, types, categories = np.cumsum(
            [shape["item_dimensions"], shape["event_type_dimensions"], shape["category_dimensions"]]
        )
        gate_bias = np.concatenate([(bias[0] + bias[1])[: 2 * units], bias[0, 2 * units :]]) * halves
        self._vectors = weights["item_vectors"]
        self._of_item = self._vectors @ kernel[:items] + gate_bias
        self._of_type = weights["event_type_vectors"] @ kernel[items:types]
        self._of_category = weights["category_vectors"] @ kernel[types:categories]
        self._of_numbers = kernel[categories : categories + 2]
        self._recurrent = np.ascontiguousarray(weights["gru_recurrent_kernel"] * halves)
        self._candidate_bias = bias[1, 2 * units :]
        self._action_kernel = weights["action_kernel"][:units]
        self._action_of_type = weights["action_kernel"][units : units + len(TYPES)] + weights["action_bias"]
        self._hazard_kernel = weights["hazard_kernel"][:units]
        self._hazard_of_type = weights["hazard_kernel"][units : units + len(TYPES)] + weights["hazard_bias"]
        self._horizon_ms = int(shape["churn_horizon_ms"])
        self._passed = _passed(shape["hazard_edges_ms"], self._horizon_ms)
        self._query_kernel = np.ascontiguousarray(weights["query_kernel"])
        self._query_bias = weights["query_bias"]

    def packed(self, event: Mapping[str, Any]) -> bytes:
        """Return an event as it is kept in a window."""
        return ROW.pack(
            self._item_of.get(event.get("item_id"), 0),
            TYPES.index(event["event_type"]),
            self._category_of.get(event.get("category"), 0),
            math.log1p(event.get("price") or 0.0),
            event["event_time_ms"],
        )

    def predictions(self, asked: Sequence[tuple[str, Mapping[str, Any], bytes]]) -> list[bytes]:
        """Return the record of each of ``asked``: an id, the event, and the window with it at its end."""
        hidden, last = self.behind([window for _, _, window in asked])
        actions = hidden @ self._action_kernel + self._action_of_type[last["type"]]
        actions = np.exp(actions - actions.max(axis=1, keepdims=True))
        actions /= actions.sum(axis=1, keepdims=True)
        query = np.concatenate([hidden, self._vectors[last["item"]]], axis=1) @ self._query_kernel
        query += self._query_bias
        query /= np.maximum(np.linalg.norm(query, axis=1, keepdims=True), 1e-6)
        hazard = hidden @ self._hazard_kernel + self._hazard_of_type[last["type"]]
        told = [(name, event) for name, event, _ in asked]
        return self.rendered(told, actions, self.churn(1 / (1 + np.exp(-hazard))), *self.best(query))

    def churn(self, hazard: Any) -> Any:
        """Return P(no event until the horizon) [B] from a hazard [B, bins]."""
        return np.exp(np.log1p(-np.minimum(hazard, 1 - 2.0**-24)) @ self._passed)

    def rendered(
        self,
        asked: Sequence[tuple[str, Mapping[str, Any]]],
        actions: Any,
        churn: Any,
        found: Any,
        scores: Any,
    ) -> list[bytes]:
        """Return the record of each of ``asked`` from its probabilities, items and scores, a row each."""
        rounded = np.round(actions.astype(np.float64), DECIMALS).tolist()
        scored = np.round(scores.astype(np.float64), DECIMALS).tolist()
        stays_away = np.round(churn.astype(np.float64), DECIMALS).tolist()
        return [
            encode_json(
                {
                    "prediction_id": prediction_id,
                    "user_id": event["user_id"],
                    "event_id": event["event_id"],
                    "event_time_ms": event["event_time_ms"],
                    "next_action": dict(zip(self._actions, probabilities, strict=True)),
                    "churn": {"probability": away, "horizon_ms": self._horizon_ms},
                    "next_items": [
                        {"item_id": self._items[item], "score": score}
                        for item, score in zip(items, values, strict=True)
                    ],
                }
            )
            for (prediction_id, event), probabilities, away, items, values in zip(
                asked, rounded, stays_away, found.tolist(), scored, strict=True
            )
        ]

    def best(self, query: Any) -> tuple[Any, Any]:
        """Return the next items of each query [B, D] and their scores, best first, [B, NEXT_ITEMS]."""
        if self._index is not None:
            scores, found = self._index.search(query, NEXT_ITEMS)
            return found, self._scale * scores
        logits = query @ self._vectors.T
        logits[:, 0] = -np.inf
        found = np.argpartition(-logits, NEXT_ITEMS, axis=1)[:, :NEXT_ITEMS]
        scores = np.take_along_axis(logits, found, axis=1)
        order = np.argsort(-scores, axis=1)
        return np.take_along_axis(found, order, axis=1), self._scale * np.take_along_axis(
            scores, order, axis=1
        )

    def behind(self, windows: Sequence[bytes]) -> tuple[Any, Any]:
        """Return the hidden vectors behind the ``windows``, and their last rows."""
        lengths = np.fromiter(map(len, windows), np.int64, len(windows)) // ROW_BYTES
        order = np.argsort(-lengths, kind="stable")
        rows = np.frombuffer(b"".join(windows[place] for place in order), ROW_DTYPE)
        ordered = lengths[order]
        starts = np.cumsum(ordered) - ordered
        gaps = np.zeros(len(rows), np.float32)
        gaps[1:] = np.log1p(np.maximum(np.diff(rows["ms"]), 0))
        gaps[starts] = 0
        numbers = np.stack([rows["price"], gaps], axis=1)
        states = np.zeros((len(windows), self._units), np.float32)
        for step in range(int(ordered[0])):
            running = int(np.count_nonzero(ordered > step))
            places = starts[:running] + step
            now = rows[places]
            read = self._of_item[now["item"]]
            read += self._of_type[now["type"]]
            read += self._of_category[now["category"]]
            read += numbers[places] @ self._of_numbers
            states[:running] = self._step(states[:running], read)
        hidden = np.empty_like(states)
        hidden[order] = states
        last = np.empty(len(windows), ROW_DTYPE)
        last[order] = rows[starts + ordered - 1]
        return hidden, last

    def _step(self, state: Any, read: Any) -> Any:
        """Return the states after one more event: `keras.layers.GRU` with ``reset_after=True``."""
        units = self._units
        kept = state @ self._recurrent
        gates = read[:, : 2 * units]
        gates += kept[:, : 2 * units]
        np.tanh(gates, out=gates)
        gates *= np.float32(0.5)
        gates += np.float32(0.5)
        candidate = kept[:, 2 * units :]
        candidate += self._candidate_bias
        candidate *= gates[:, units:]
        candidate += read[:, 2 * units :]
        np.tanh(candidate, out=candidate)
        stepped = state - candidate
        stepped *= gates[:, :units]
        stepped += candidate
        return stepped


def _passed(edges_ms: Sequence[int], until_ms: int) -> Any:
    """Return how many times each bin's length passes until ``until_ms``, [bins]; the last bin is open."""
    edges = np.array(edges_ms, np.float64)
    lengths = np.append(np.diff(edges), edges[-1] - edges[-2])
    passed = np.maximum((until_ms - edges) / lengths, 0)
    passed[:-1] = np.minimum(passed[:-1], 1)
    return passed
