"""Parts of a batch by hand, and a run of two processes against a run of one."""

import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
import tensorflow as tf

from model_store.artifacts import ModelStore
from model_store.batches import Batch, part_of
from model_store.distribution import Workers
from model_store.errors import TrainingError
from model_store.own_batch import OwnBatch
from model_store.process_group import watch
from model_store.tables import build_table
from model_store.training import train_table
from model_store.training_settings import TrainingSettings
from tests.model_store.test_training import Silent, round_trips, weights_of

SETTINGS = TrainingSettings(
    window_size=6, units=8, item_dimensions=8, most_epochs=1, batch_events=40, dropout=0.0, refit=False
)


def batch_of(windows: int) -> Batch:
    """Make windows of two events: the second of each is scored, every second of those asks for an item."""
    places = np.arange(1, 2 * windows, 2, dtype=np.int32)
    asked = places[::2]
    whole = np.arange(2 * windows, dtype=np.int32).reshape(windows, 2)
    flags = np.ones((len(asked), 1), bool)
    own = OwnBatch(
        asked[:, None], flags, flags, flags.astype(np.float32), flags.astype(np.float32), flags * 1
    )
    return Batch(
        item=whole,
        event_type=whole,
        category=whole,
        numeric=whole[..., None].astype(np.float32),
        scored=places,
        next_action=np.where(np.arange(windows) == 0, -1, places),
        gap_bin=places,
        survived=places.astype(np.float32),
        returned=places.astype(np.float32),
        with_item=asked,
        next_item=np.where(asked == 1, 0, asked),
        own=own,
    )


def test_parts_of_a_batch_by_hand() -> None:
    first, second = (part_of(batch_of(3), number, 2) for number in (0, 1))
    assert first.batch.item.tolist() == [[0, 1]]
    assert second.batch.item.tolist() == [[2, 3], [4, 5]]
    assert second.batch.scored.tolist() == [1, 3]  # places in its own windows
    assert second.batch.gap_bin.tolist() == [3, 5]
    assert second.batch.with_item.tolist() == [3]
    assert second.batch.own.indices.tolist() == [[5]]
    assert (first.asked, second.asked) == (slice(0, 1), slice(1, 2))
    # items that are known, items that are asked for, actions that are known, scored events
    assert first.shares == pytest.approx([0, 1 / 2, 0, 1 / 3])
    assert second.shares == pytest.approx([1, 1 / 2, 1, 2 / 3])


@pytest.mark.parametrize("windows", [1, 2, 5, 8])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_parts_make_up_the_batch(windows: int, count: int) -> None:
    whole = batch_of(windows)
    parts = [part_of(whole, number, count) for number in range(count)]
    for name in ("item", "gap_bin", "next_item", "next_action"):
        together = np.concatenate([getattr(part.batch, name) for part in parts])
        assert together.tolist() == getattr(whole, name).tolist()
    known = [bool(whole.next_item.any()), True, bool((whole.next_action >= 0).any()), True]
    assert sum(part.shares for part in parts) == pytest.approx(np.array(known, float))


# Run in a process of its own: several processes can only be joined before TensorFlow has run.
TRAIN_WITH_TWO = """
import sys
from pathlib import Path
import msgspec
from model_store.artifacts import ModelStore
from model_store.process_group import process_group
from model_store.tables import StoredTable
from model_store.training import train_table
from model_store.training_settings import TrainingSettings
from tests.model_store.test_training import Silent

place = Path(sys.argv[1])
settings = msgspec.json.decode(sys.argv[2], type=TrainingSettings)
table, work = StoredTable.open(place / "table"), place / "two"
with process_group(2, table, settings, work, resume=False, died=sys.exit) as together:
    store = ModelStore(place / "models")
    train_table(table, settings, store, "two", Silent(), work_directory=work, together=together)
"""


def test_two_processes_learn_what_one_does(tmp_path: Path) -> None:
    table = build_table(round_trips(40), tmp_path / "table")
    store = ModelStore(tmp_path / "models")
    one = train_table(table, SETTINGS, store, "one", Silent(), work_directory=tmp_path / "one")
    told = [str(tmp_path), msgspec.json.encode(SETTINGS).decode()]
    subprocess.run([sys.executable, "-c", TRAIN_WITH_TWO, *told], check=True, timeout=300)
    both = weights_of(one)
    for path in (tmp_path / "models/two/versions").glob("*/weights.npz"):
        with np.load(path) as archive:
            assert {name: archive[name].shape for name in both} == {
                name: values.shape for name, values in both.items()
            }
            for name, values in both.items():
                assert archive[name] == pytest.approx(values, abs=1e-5)
    assert store.versions("two")


def test_processes_cannot_be_joined_late() -> None:
    tf.constant(0)  # TensorFlow has begun
    with pytest.raises(TrainingError, match="before anything is trained"):
        Workers(["127.0.0.1:1"], 0)


def test_the_death_of_a_process_is_told(tmp_path: Path) -> None:
    log, told = tmp_path / "process-1.log", list[str]()
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-c", "print('boom'); exit(3)"], stdout=output)
    watch(process, 1, log, lambda: False, told.append)
    assert "ended with 3" in told[0]
    assert told[0].endswith("boom")
    watch(process, 1, log, lambda: True, told.append)  # it was meant to end
    assert len(told) == 1
