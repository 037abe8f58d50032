"""How often files are read does not grow faster than the members."""

from __future__ import annotations

import pickle
from collections import Counter

import pytest

from sparkml_dist.cluster.packed_items import PackedItems
from sparkml_dist.learners.fitting import RECORD, committed_members, store_member
from sparkml_dist.members.engine import member_files
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile


@pytest.fixture
def counted(monkeypatch):
    """Count what is asked of the file system."""
    counts = Counter()
    for name in ("info", "sizes", "files", "read_bytes", "sha256"):
        real = getattr(Folder, name)

        def call(self, *args, _real=real, _name=name, **more):
            counts[_name] += 1
            return _real(self, *args, **more)

        monkeypatch.setattr(Folder, name, call)
    return counts


@pytest.mark.parametrize("members", [2, 12])
def test_a_resumed_fit_lists_once_and_reads_each_record_once(tmp_path, counted, members):
    from sklearn.dummy import DummyClassifier

    folder = Folder.at(tmp_path)
    learner = DummyClassifier().fit([[0.0]], [1])
    for number in range(members):
        store_member(folder, f"member-{number:05d}", learner, {"member": number})
    (tmp_path / "members" / "member-00001.skops").write_bytes(b"")  # not whole
    counted.clear()
    found = committed_members(folder)
    assert sorted(found) == [i for i in range(members) if i != 1]
    assert counted == {"files": 1, "read_bytes": members}
    counted.clear()
    files = member_files(folder, list(found.values()))
    assert not counted  # neither learners nor records are read again
    assert files == [ModelFile.of(folder, file.name) for file in files]


def test_a_record_knows_the_same_of_its_file_when_it_is_stored_and_read(tmp_path):
    from sklearn.dummy import DummyClassifier

    folder = Folder.at(tmp_path)
    stored = store_member(
        folder, "member-00000", DummyClassifier().fit([[0.0]], [1]), {"member": 0}
    )
    assert committed_members(folder) == {0: stored}
    assert RECORD not in folder.read_json("members/member-00000.json")


class Item:
    """Counts how often one is unpickled."""

    made = 0

    def __init__(self, number):
        self.number = number

    def __setstate__(self, state):
        type(self).made += 1
        self.__dict__.update(state)


def test_a_task_unpickles_its_own_item_only():
    items = pickle.loads(pickle.dumps(PackedItems([Item(n) for n in range(50)])))
    assert Item.made == 0
    assert (len(items), items[7].number, items[-1].number) == (50, 7, 49)
    assert Item.made == 2
    assert [i.number for i in items[3:5]] == [3, 4]
