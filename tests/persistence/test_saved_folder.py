"""What is saved takes the place of what was there in one step, and of its own kind only."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import BaggingClassifier, KMeans, VotingClassifier
from sparkml_dist.errors import ConfigurationError, SparkMLDistError, StorageError
from sparkml_dist.models.grid_value import GridValue
from sparkml_dist.persistence import filesystem
from sparkml_dist.persistence.checksums import with_checksum
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.saved_folder import PLAN, begin_fit, check_replaceable, contents

TREE = BaggingClassifier(estimator=DecisionTreeClassifier(max_depth=3), numMembers=3)
LINE = BaggingClassifier(estimator=LogisticRegression(C=7.0), numMembers=5)


def members_of(path):
    loaded = BaggingClassifier.load(str(path))
    return loaded.getNumMembers(), type(loaded.getEstimator()).__name__


def tree_of(path):
    return {str(p.relative_to(path)): p.read_bytes() for p in Path(path).rglob("*") if p.is_file()}


def refused(code, call, *arguments, **options):
    with pytest.raises(SparkMLDistError) as caught:
        call(*arguments, **options)
    assert caught.value.code == code, caught.value
    return caught.value


def test_the_new_takes_the_place_of_the_old_and_nothing_of_the_old_stays(tmp_path):
    TREE.save(str(tmp_path / "e"))
    for kind, expected in [
        (LINE, (5, "LogisticRegression")),
        (TREE, (3, "DecisionTreeClassifier")),
    ]:
        kind.write().overwrite().save(str(tmp_path / "e"))
        assert members_of(tmp_path / "e") == expected
        assert sum(n.endswith(".skops") for n in tree_of(tmp_path / "e")) == 1
    names = {n.partition("/")[0] for n in tree_of(tmp_path / "e")}
    assert names == {"manifest.json", "metadata", "version-3"}


def test_files_of_others_in_the_folder_stay(tmp_path):
    TREE.save(str(tmp_path / "e"))
    (tmp_path / "e" / "README.md").write_text("about it")
    LINE.write().overwrite().save(str(tmp_path / "e"))
    TREE.write().overwrite().save(str(tmp_path / "e"))
    assert (tmp_path / "e" / "README.md").read_text() == "about it"


class Stopped(BaseException):
    """Ends what runs, as a signal would: nothing is cleaned up on the way."""


def test_a_crash_at_any_step_leaves_the_old_or_the_new_whole(tmp_path, monkeypatch):
    """Every write, rename and deletion is the last one in turn."""
    steps = [0, 0]

    def counted(method):
        def call(self, *arguments, **options):
            steps[0] += 1
            if steps[0] > steps[1]:
                raise Stopped
            return method(self, *arguments, **options)

        return call

    for name in ("move", "delete", "delete_file", "committing", "create"):
        monkeypatch.setattr(Folder, name, counted(getattr(Folder, name)))
    seen, last = [], 0
    while not seen or seen[-1] != "ended":
        home = tmp_path / str(last)
        steps[:] = 0, 10**9
        TREE.save(str(home))
        steps[:] = 0, last
        try:
            LINE.write().overwrite().save(str(home))
            seen.append("ended")
        except Stopped:
            seen.append("stopped")
        steps[:] = 0, 10**9
        assert members_of(home) in [(3, "DecisionTreeClassifier"), (5, "LogisticRegression")]
        # Whatever was left, the next one is complete, and what was left is gone.
        LINE.write().overwrite().save(str(home))
        assert members_of(home) == (5, "LogisticRegression")
        assert sum(n.endswith(".skops") for n in tree_of(home)) == 1
        last += 1
    assert len(seen) > 5


def test_a_failure_leaves_the_old_and_nothing_else(tmp_path, monkeypatch):
    TREE.save(str(tmp_path / "e"))
    before = tree_of(tmp_path / "e")
    monkeypatch.setattr(
        BaggingClassifier, "_state", lambda self: (_ for _ in ()).throw(OSError("disk full"))
    )
    with pytest.raises(OSError, match="disk full"):
        LINE.write().overwrite().save(str(tmp_path / "e"))
    monkeypatch.undo()
    assert tree_of(tmp_path / "e") == before
    with pytest.raises(OSError, match="disk full"):
        monkeypatch.setattr(
            BaggingClassifier, "_state", lambda self: (_ for _ in ()).throw(OSError("disk full"))
        )
        LINE.save(str(tmp_path / "new"))
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    "there",
    [
        {"manifest.json": "{}"},
        {"manifest.json": "not JSON", "precious.csv": "1,2"},
        {"manifest.json": json.dumps({"name": "a web app", "icons": []})},
        {
            "manifest.json": json.dumps(
                with_checksum({"format": "sparkml_dist.dataset", "protocol": 1})
            )
        },
        {"plan.json": json.dumps({"holiday": "June"})},
        {"thesis.tex": "…"},
    ],
)
@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_the_folder_of_something_else_is_never_touched(tmp_path, there, options):
    home = tmp_path / "theirs"
    home.mkdir()
    for name, text in there.items():
        (home / name).write_text(text)
    before = tree_of(home)
    refused("output_exists", TREE.save, str(home))
    refused("output_exists", TREE.write().overwrite().save, str(home))
    flags = {"overwrite": False, "resume": False} | options
    refused("output_exists", begin_fit, Folder.at(home), {"a": 1}, **flags)
    assert tree_of(home) == before


def test_an_estimator_does_not_replace_a_model_nor_the_other_way_round(tmp_path):
    TREE.save(str(tmp_path / "e"))
    refused(
        "output_exists",
        GridValue(LogisticRegression()).write().overwrite().save,
        str(tmp_path / "e"),
    )
    for kind in ("model", "dataset", "transformer"):
        refused("output_exists", check_replaceable, Folder.at(tmp_path / "e"), kind, overwrite=True)
    refused("output_exists", begin_fit, Folder.at(tmp_path / "e"), {}, overwrite=True, resume=False)
    VotingClassifier(estimators=[("a", LogisticRegression())]).write().overwrite().save(
        str(tmp_path / "e")
    )
    assert contents(Folder.at(tmp_path / "e")) == "estimator"


def test_only_its_own_class_is_loaded(tmp_path):
    TREE.save(str(tmp_path / "e"))
    refused("other_class", VotingClassifier.load, str(tmp_path / "e"))
    refused("not_a_model", __import__("sparkml_dist").load_model, str(tmp_path / "e"))


def test_a_fit_goes_on_only_with_its_own_plan(tmp_path):
    folder = Folder.at(tmp_path / "m")
    home = begin_fit(folder, {"seed": 1}, overwrite=False, resume=False)
    assert (home.root, contents(folder)) == ("", "fit")
    (tmp_path / "m" / "members").mkdir()
    (tmp_path / "m" / "members" / "one").write_text("fitted")
    assert begin_fit(folder, {"seed": 1}, overwrite=False, resume=True).root == ""
    error = refused("plan_differs", begin_fit, folder, {"seed": 2}, overwrite=False, resume=True)
    assert "seed: 1 before, 2 now" in error.message
    assert isinstance(error, ConfigurationError)
    assert (tmp_path / "m" / "members" / "one").exists()
    begin_fit(folder, {"seed": 2}, overwrite=True, resume=False)
    assert not (tmp_path / "m" / "members").exists()


def test_an_altered_plan_is_told(tmp_path):
    begin_fit(Folder.at(tmp_path / "m"), {"seed": 1}, overwrite=False, resume=False)
    value = json.loads((tmp_path / "m" / PLAN).read_text())
    value["plan"]["seed"] = 2
    (tmp_path / "m" / PLAN).write_text(json.dumps(value))
    refused("altered_manifest", begin_fit, Folder.at(tmp_path / "m"), {}, overwrite=0, resume=True)


def test_a_signed_one_is_told_from_another(tmp_path, monkeypatch):
    monkeypatch.setenv("OUR_KEY", "k" * 32)
    monkeypatch.setenv("THEIR_KEY", "t" * 32)
    monkeypatch.setenv("SHORT_KEY", "short")
    TREE.save(str(tmp_path / "signed"), sign="OUR_KEY")
    TREE.save(str(tmp_path / "not"))
    TREE.write().option("sign", "THEIR_KEY").save(str(tmp_path / "theirs"))
    assert BaggingClassifier.load(str(tmp_path / "signed"), verify="OUR_KEY").getNumMembers() == 3
    assert BaggingClassifier.load(str(tmp_path / "signed")).getNumMembers() == 3
    for name in ("not", "theirs"):
        refused("not_signed", BaggingClassifier.load, str(tmp_path / name), verify="OUR_KEY")
    # Whoever alters it can seal it again, and not sign it.
    manifest = tmp_path / "signed" / "manifest.json"
    value = json.loads(manifest.read_text())
    value["params"]["numMembers"] = 4
    manifest.write_text(json.dumps(with_checksum(value)))
    assert BaggingClassifier.load(str(tmp_path / "signed")).getNumMembers() == 4
    refused("not_signed", BaggingClassifier.load, str(tmp_path / "signed"), verify="OUR_KEY")
    for variable in ("SHORT_KEY", "NO_SUCH_KEY"):
        refused("no_key", TREE.save, str(tmp_path / "x"), sign=variable)


def test_names_stay_inside_the_folder(tmp_path):
    TREE.save(str(tmp_path / "e"))
    (tmp_path / "evil.pth").write_text("import os")
    manifest = tmp_path / "e" / "manifest.json"
    for name in ("../evil.pth", str(tmp_path / "evil.pth"), "a/../../evil.pth", "file:///x", ""):
        value = json.loads(manifest.read_text())
        value["files"] = [dict(value["files"][0], name=name)]
        manifest.write_text(json.dumps(with_checksum(value)))
        refused("name_outside_folder", BaggingClassifier.load, str(tmp_path / "e"))
    for root in ("..", "/tmp", "version-1/..", "version-0", "x"):
        value = json.loads(manifest.read_text()) | {"root": root}
        manifest.write_text(json.dumps(with_checksum(value)))
        refused("altered_manifest", BaggingClassifier.load, str(tmp_path / "e"))
    value = json.loads(manifest.read_text()) | {"root": "", "files": []}
    manifest.write_text(json.dumps(with_checksum(value | {"leftover": ["../evil.pth"]})))
    refused("name_outside_folder", LINE.write().overwrite().save, str(tmp_path / "e"))
    assert (tmp_path / "evil.pth").exists()


def test_what_is_not_listed_is_not_read(tmp_path):
    TREE.save(str(tmp_path / "e"))
    os.rename(tmp_path / "e" / "learner-00000.skops", tmp_path / "e" / "learner-00001.skops")
    refused("file_not_found", BaggingClassifier.load, str(tmp_path / "e"))
    os.rename(tmp_path / "e" / "learner-00001.skops", tmp_path / "e" / "learner-00000.skops")
    LINE.save(str(tmp_path / "other"))
    added = (tmp_path / "other" / "learner-00000.skops").read_bytes()
    (tmp_path / "e" / "learner--1.skops").write_bytes(added)  # the first by name
    assert members_of(tmp_path / "e") == (3, "DecisionTreeClassifier")


def test_the_same_place_has_many_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    TREE.save("e")
    loaded = BaggingClassifier.load("e")
    for name in ("e", f"file://{tmp_path}/e", f"{tmp_path}/x/../e", f"{tmp_path}/e/"):
        loaded.setNumMembers(loaded.getNumMembers() + 1).write().overwrite().save(name)
        assert members_of(tmp_path / "e") == (loaded.getNumMembers(), "DecisionTreeClassifier")
    (tmp_path / "link").symlink_to(tmp_path / "e")
    loaded.write().overwrite().save(str(tmp_path / "link"))
    assert members_of(tmp_path / "e") == (loaded.getNumMembers(), "DecisionTreeClassifier")


def test_saving_over_the_folder_that_holds_it_is_refused(tmp_path):
    KMeans().save(str(tmp_path / "outer"))
    KMeans(seed=1).save(str(tmp_path / "outer" / "inner"))
    inner = KMeans.load(str(tmp_path / "outer" / "inner"))
    refused("output_is_input", inner.write().overwrite().save, str(tmp_path / "outer"))
    assert KMeans.load(str(tmp_path / "outer" / "inner")).getSeed() == 1


def test_over_another_that_has_come_in_between(tmp_path):
    TREE.save(str(tmp_path / "e"))
    loaded = BaggingClassifier.load(str(tmp_path / "e"))
    LINE.write().overwrite().save(str(tmp_path / "e"))
    error = refused("output_replaced", loaded.write().overwrite().save, str(tmp_path / "e"))
    assert isinstance(error, StorageError)
    assert members_of(tmp_path / "e") == (5, "LogisticRegression")


def test_a_temporary_name_that_a_crash_left_is_no_model(tmp_path):
    """What committing leaves when the process is killed is in nobody's way."""
    TREE.save(str(tmp_path / "e"))
    (tmp_path / "e" / f".manifest.json.{'0' * 32}.tmp").write_text("{")
    assert filesystem.Folder.at(tmp_path / "e").exists("manifest.json")
    LINE.write().overwrite().save(str(tmp_path / "e"))
    assert members_of(tmp_path / "e") == (5, "LogisticRegression")
