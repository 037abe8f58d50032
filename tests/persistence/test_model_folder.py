"""Models at rest: no pickle, every file vouched for, strangers refused."""

from __future__ import annotations

import json
import os
import zipfile

import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import BaggingClassifier, load_model
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.checksums import with_checksum


@pytest.fixture
def model(spark, tmp_path):
    frame = spark.createDataFrame(load_iris(as_frame=True).frame)
    return BaggingClassifier(
        estimator=DecisionTreeClassifier(),
        numMembers=2,
        numShards=2,
        labelCol="target",
        modelDir=str(tmp_path / "m"),
    ).fit(frame)


def refused(location, code):
    with pytest.raises(StorageError) as caught:
        load_model(location)
    assert caught.value.code == code, caught.value
    return caught.value


def rewrite(model, change, *, checksum=True):
    path = f"{model.folder.location}/manifest.json"
    with open(path) as file:
        value = json.load(file)
    change(value)
    with open(path, "w") as file:
        json.dump(with_checksum(value) if checksum else value, file)


def test_nothing_in_the_folder_is_a_pickle(model):
    names = model.folder.walk()
    assert {n.rpartition(".")[2] for n in names} == {"json", "skops"}
    for name in names:
        if name.endswith(".skops"):
            with zipfile.ZipFile(model.folder.path(name)) as archive:
                assert {n.rpartition(".")[2] for n in archive.namelist()} <= {"json", "npy", "npz"}


def test_equal_learners_give_equal_bytes():
    from sparkml_dist.persistence.learners import dump_learner, load_learner

    X, y = load_iris(return_X_y=True)
    one, two = (dump_learner(DecisionTreeClassifier(random_state=0).fit(X, y)) for _ in range(2))
    assert one == two
    assert (load_learner(one, "").predict(X) == y).all()


def test_a_changed_byte_in_a_member(model):
    path = model.folder.path("members/member-00001.skops")
    with open(path, "r+b") as file:
        file.seek(1000)
        byte = file.read(1)
        file.seek(1000)
        file.write(bytes([byte[0] ^ 1]))
    error = refused(model.folder.location, "file_altered")
    assert "member-00001.skops" in error.message


def test_a_member_altered_after_loading_is_refused_by_the_workers(spark, model):
    frame = spark.createDataFrame(load_iris(as_frame=True).frame)
    loaded = load_model(model.folder.location)
    os.truncate(model.folder.path("members/member-00000.skops"), 500)
    with pytest.raises(Exception, match="file_altered"):
        loaded.transform(frame).collect()


@pytest.mark.long
def test_a_missing_member(model):
    os.remove(model.folder.path("members/member-00000.skops"))
    refused(model.folder.location, "file_not_found")


def test_an_altered_manifest(model):
    rewrite(model, lambda v: v.update(uid="x"), checksum=False)
    refused(model.folder.location, "altered_manifest")


def test_a_manifest_that_is_not_whole(model):
    rewrite(model, lambda v: v.pop("uid"))
    assert "'uid'" in refused(model.folder.location, "altered_manifest").message


def test_a_newer_protocol(model):
    rewrite(model, lambda v: v.update(protocol=2))
    assert "Upgrade" in refused(model.folder.location, "newer_protocol").hint


def test_a_class_that_is_not_ours_is_not_imported(model):
    rewrite(model, lambda v: v.update({"class": "os.path.join"}))
    refused(model.folder.location, "unknown_saved_class")
    rewrite(model, lambda v: v.update({"class": "sparkml_dist.errors.DataError"}))
    refused(model.folder.location, "unknown_saved_class")


def test_an_untrusted_type_is_named_and_not_built(tmp_path):
    import skops.io

    from sparkml_dist.persistence.learners import load_learner

    class Stranger(DecisionTreeClassifier):
        pass

    Stranger.__qualname__ = "Stranger"
    globals()["Stranger"] = Stranger
    content = skops.io.dumps(Stranger())
    with pytest.raises(StorageError, match="Stranger") as caught:
        load_learner(content, "here")
    assert caught.value.code == "untrusted_type"


def test_garbage_is_not_a_member():
    from sparkml_dist.persistence.learners import load_learner

    with pytest.raises(StorageError, match="damaged_member"):
        load_learner(b"PK\x03\x04 not really", "here")


def test_no_model_there(tmp_path):
    refused(str(tmp_path), "not_a_model")
