"""What the network costs from a kept state, and run over the whole window at each event."""

from __future__ import annotations

from dataclasses import dataclass
from time import process_time

from threadpoolctl import threadpool_limits

from benchmarks.support.prefill import Fill
from foreclick.settings import Settings
from model_store.artifacts import ModelStore
from model_store.lookback import lookback_of_windows
from model_store.recompute import states_of_windows
from model_store.serving import load_served_model
from model_store.windows import ROW_BYTES, kept_after_overflow, pack_row

ROUNDS = 20


@dataclass(frozen=True)
class StepCosts:
    """Microseconds of CPU an event, of encoding and network.

    ``kept_us`` has the rebuilding of overflowing windows in it, as often as it comes.
    """

    kept_us: float
    window_us: float


def step_costs(settings: Settings, window: int, items: int) -> StepCosts:
    """Measure both on the same windows, with one thread, in turn."""
    store = ModelStore(settings.model_store)
    version = store.resolve(settings.model_name, settings.model_alias)
    model = load_served_model(store, settings.model_name, version)
    windows = [b"".join(map(pack_row, events)) for events in Fill(1_000, items, window).windows()]
    overflowed = windows[: max(1, round(len(windows) / (window - kept_after_overflow(window))))]
    rebuilt = [one[-(kept_after_overflow(window) + 1) * ROW_BYTES :] for one in overflowed]
    state = states_of_windows(model, windows)
    kept_s = window_s = 0.0
    with threadpool_limits(limits=1):
        for _ in range(ROUNDS):
            began_s = process_time()
            model.step(
                state, model.encoder.encode(*lookback_of_windows(windows, model.encoder.lookback_events))
            )
            states_of_windows(model, rebuilt)
            between_s = process_time()
            states_of_windows(model, windows)
            kept_s += between_s - began_s
            window_s += process_time() - between_s
    events = ROUNDS * len(windows) / 1e6
    return StepCosts(round(kept_s / events, 2), round(window_s / events, 2))
