"""A folder takes another one's place: cut off anywhere, one of the two is there, and whole."""

from __future__ import annotations

import pytest

from sparkml_dist.persistence import replacing
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.replacing import replace_folder

OLD = {"manifest.json": b"old", "a": b"old", "old/gone": b"old"}
NEW = {"manifest.json": b"new", "a": b"new", "sub/b": b"new"}


class Cut(BaseException):
    """The process ends here."""


def fill(folder, files):
    for name, content in files.items():
        folder.write_bytes(name, content)
    return folder


def content(folder):
    return {name: folder.read_bytes(name) for name in folder.walk() if not name.startswith(".")}


@pytest.fixture(params=["exchanged", "renamed", "moved"])
def way(request, monkeypatch):
    if request.param != "exchanged":
        monkeypatch.setattr(replacing, "_exchange", lambda a, b: False)
    if request.param == "moved":
        monkeypatch.setattr(replacing, "renames_folders", lambda folder: False)
    return request.param


@pytest.fixture
def folders(tmp_path):
    return fill(Folder.at(tmp_path / "next" / "room"), NEW), Folder.at(tmp_path / "room")


def test_the_new_one_is_there_and_the_old_one_gone(way, folders, tmp_path):
    new, target = folders
    replace_folder(new, fill(target, OLD))
    assert content(target) == NEW
    replace_folder(new, target)  # nothing is left to do
    assert {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")} == {
        *("next", "room", "room/manifest.json", "room/a", "room/sub", "room/sub/b"),
        *(["room/old"] if way == "moved" else []),
    }


def test_where_there_was_none(way, folders):
    new, target = folders
    replace_folder(new, target)
    assert content(target) == NEW


def cut_after(monkeypatch, steps):
    """Let the process end before its next change of the disk, after so many."""
    left = [steps]

    def limited(method):
        def run(*args):
            if left[0] == 0:
                raise Cut
            left[0] -= 1
            return method(*args)

        return run

    for name in ("write_json", "move", "delete", "delete_file"):
        monkeypatch.setattr(Folder, name, limited(getattr(Folder, name)))
    monkeypatch.setattr(replacing, "_exchange", limited(replacing._exchange))


def test_cut_off_at_every_step_and_called_again(way, tmp_path):
    for steps in range(30):
        home = tmp_path / str(steps)
        new = fill(Folder.at(home / "next" / "room"), NEW)
        target = fill(Folder.at(home / "room"), OLD)
        with pytest.MonkeyPatch.context() as patch:
            cut_after(patch, steps)
            if way != "exchanged":
                patch.setattr(replacing, "_exchange", lambda a, b: False)
            try:
                replace_folder(new, target)
                break
            except Cut:
                pass
        seen = content(target)
        if way == "exchanged":
            assert seen in (OLD, NEW)
        elif seen not in (OLD, NEW):  # then nothing that a reader takes for whole
            assert "manifest.json" not in seen
        replace_folder(new, target)
        assert content(target) == NEW
        assert new.is_empty()
    assert 3 < steps < 29
