"""Checkpoints at rest: whole or not there, ordered, and damage that is noticed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sparkml_dist.deep.params.checkpoint_settings import CheckpointSettings
from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.persistence.checkpoints import CheckpointId, CheckpointStore
from sparkml_dist.persistence.filesystem import Folder

ARRAYS = {"state.npz": {"weights/0000": np.arange(6.0).reshape(2, 3), "n": np.array(7)}}


@pytest.fixture
def store(tmp_path):
    return CheckpointStore(Folder.at(tmp_path / "checkpoints"))


def write(store, *ids):
    return [store.write(CheckpointId(*i), ARRAYS, {"at": list(i)}) for i in ids]


arrays = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.uint8, np.uint16, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=3, min_side=0),
)


@given(st.dictionaries(st.text("abc/019", min_size=1, max_size=9), arrays, min_size=1, max_size=4))
def test_what_is_written_is_read(tmp_path_factory, found):
    store = CheckpointStore(Folder.at(tmp_path_factory.mktemp("c")))
    store.write(CheckpointId(1, 2), {"a.npz": found}, {"x": 1})
    checkpoint = store.read(store.ids()[0])
    checkpoint.verify("a.npz")
    again = checkpoint.arrays("a.npz")
    assert again.keys() == found.keys()
    for key, array in found.items():
        assert again[key].dtype == array.dtype
        assert again[key].shape == array.shape
        assert again[key].tobytes() == array.tobytes()


def test_the_newest_is_that_of_the_latest_launch(store):
    assert store.ids() == []
    assert store.last_launch() == 0
    write(store, (1, 5), (2, 3), (1, 90))
    assert store.ids() == [CheckpointId(2, 3), CheckpointId(1, 90), CheckpointId(1, 5)]
    assert store.read(store.ids()[0]).content == {"at": [2, 3]}
    assert store.last_launch() == 2


def test_what_was_only_begun_is_no_checkpoint(store, tmp_path):
    write(store, (1, 5))
    begun = tmp_path / "checkpoints" / str(CheckpointId(3, 9))
    begun.mkdir()
    (begun / "state.npz").write_bytes(b"PK")
    assert store.ids() == [CheckpointId(1, 5)]
    assert store.last_launch() == 3


def test_pruning(store, tmp_path):
    write(store, (1, 5), (1, 10), (1, 15), (1, 20))
    (tmp_path / "checkpoints/launch-001-step-000000010/manifest.json").unlink()
    (tmp_path / "checkpoints/launch-002-step-000000021").mkdir()
    (tmp_path / "checkpoints/launch-002-step-000000021/state.npz").touch()
    (tmp_path / "checkpoints/notes.txt").touch()
    store.prune(2)
    left = sorted(p.name for p in (tmp_path / "checkpoints").iterdir())
    assert left == [
        "launch-001-step-000000015",
        "launch-001-step-000000020",
        "launch-002-step-000000021",  # is being written
        "notes.txt",
    ]
    store.prune(0)
    assert not (tmp_path / "checkpoints").exists()
    store.prune(0)


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_damage_is_noticed(store, tmp_path, damage):
    (checkpoint,) = write(store, (1, 5))
    file = tmp_path / "checkpoints" / str(checkpoint.id) / "state.npz"
    content = file.read_bytes()
    match damage:
        case "cut":
            file.write_bytes(content[:-9])
        case "changed":
            file.write_bytes(content[:200] + b"?" + content[201:])
        case "gone":
            file.unlink()
    with pytest.raises(StorageError, match="checkpoint_damaged") as caught:
        store.read(checkpoint.id).verify("state.npz")
    assert "state.npz" in caught.value.message
    if damage != "changed":
        with pytest.raises(StorageError, match="checkpoint_damaged"):
            checkpoint.arrays("state.npz")


def test_an_altered_manifest_is_refused(store, tmp_path):
    (checkpoint,) = write(store, (1, 5))
    file = tmp_path / "checkpoints" / str(checkpoint.id) / "manifest.json"
    file.write_text(file.read_text().replace('"at"', '"to"'))
    with pytest.raises(StorageError, match="altered_manifest"):
        store.read(checkpoint.id)


def test_no_pickle_is_read(store):
    (checkpoint,) = write(store, (1, 5))
    np.savez(checkpoint.folder.path("state.npz"), a=np.array([object()]))
    with pytest.raises(StorageError, match="checkpoint_damaged"):
        checkpoint.arrays("state.npz")


def test_when_checkpoints_are_due():
    by_epoch, by_step = CheckpointSettings(), CheckpointSettings(every=3, keep=5)
    assert [by_epoch.due(s, epoch_ends=s == 4) for s in (3, 4)] == [False, True]
    assert [by_step.due(s, epoch_ends=s == 4) for s in (3, 4, 6)] == [True, False, True]
    assert by_epoch.kept_while_training == 2
    assert by_step.kept_while_training == 5


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"every": -1}, "invalid_param"),
        ({"keep": 1.5}, "invalid_param"),
        ({"max_restarts": True}, "invalid_param"),
    ],
)
def test_settings_that_cannot_work(wrong, code):
    with pytest.raises(ConfigurationError, match=code):
        CheckpointSettings(**wrong)
