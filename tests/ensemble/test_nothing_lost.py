"""A model's folder is replaced by a complete model only, and by one fit at a time."""

from __future__ import annotations

import json
import shutil
import threading

import pytest
from pyspark.ml import PipelineModel
from pyspark.ml.classification import LogisticRegression as SparkLogisticRegression
from pyspark.ml.feature import SQLTransformer, VectorAssembler
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

import sparkml_dist as sd
from sparkml_dist.ensemble.stacking.spark_folder import check_stage, save_stage
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.persistence.checksums import with_checksum
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.lock import FolderLock
from sparkml_dist.persistence.model_folder import ModelFile
from tests.ensemble import slow_learner


@pytest.fixture(scope="module")
def frame(spark):
    return spark.createDataFrame(load_iris(as_frame=True).frame).withColumnRenamed(
        "target", "label"
    )


@pytest.fixture(scope="module")
def shards(frame, tmp_path_factory):
    return sd.partition(
        frame, str(tmp_path_factory.mktemp("s") / "shards"), label="label", shards=2
    )


def bagging(depth, home, **options):
    tree = DecisionTreeClassifier(max_depth=depth, random_state=0)
    return sd.BaggingClassifier(estimator=tree, numMembers=2, modelDir=str(home), **options)


def refused(code, call, *arguments, **options):
    with pytest.raises(SparkMLDistError) as caught:
        call(*arguments, **options)
    assert caught.value.code == code, caught.value
    return caught.value


def depths(home):
    bank = sd.load_model(str(home))._bank()
    return [learner.get_depth() for learner in bank.learners()]


def test_a_fit_replaces_a_model_when_its_own_is_complete(shards, frame, tmp_path):
    home = tmp_path / "m"
    first = bagging(1, home).fit(shards)
    rows = first.transform(frame).select("prediction").collect()
    refused("output_exists", bagging(3, home).fit, shards)
    failing = sd.BaggingClassifier(
        estimator=slow_learner.Failing(),
        numMembers=2,
        modelDir=str(home),
        overwrite=True,
        trustedTypes=slow_learner.TYPES,
    )
    with pytest.raises(SparkMLDistError):
        failing.fit(shards)
    assert depths(home) == [1, 1]
    assert sd.load_model(str(home)).transform(frame).select("prediction").collect() == rows
    bagging(3, home, overwrite=True).fit(shards)
    assert min(depths(home)) > 1
    assert sorted(p.name for p in home.iterdir()) == ["manifest.json", "metadata", "version-3"]


def test_an_interrupted_replacement_goes_on(shards, tmp_path):
    home = tmp_path / "m"
    bagging(1, home).fit(shards)
    whole = tmp_path / "whole"
    bagging(3, whole).fit(shards)
    # As a kill leaves it: the second version is begun, and a member of it committed.
    begun = home / "version-2"
    shutil.copytree(whole, begun)
    (begun / "manifest.json").unlink()
    shutil.rmtree(begun / "metadata")
    (begun / "members" / "member-00001.json").unlink()
    assert depths(home) == [1, 1]
    again = bagging(3, home, resume=True).fit(shards)
    assert again.summary["fitted_now"] == 1
    assert min(depths(home)) > 1
    error = refused("plan_differs", bagging(2, home, resume=True).fit, shards)
    assert "overwrite=True" in error.hint
    assert min(depths(home)) > 1


def test_a_saved_copy_is_not_gone_on_with(shards, tmp_path):
    bagging(1, tmp_path / "m").fit(shards).save(str(tmp_path / "copy"))
    refused("nothing_to_resume", bagging(1, tmp_path / "copy", resume=True).fit, shards)
    assert depths(tmp_path / "copy") == [1, 1]


@pytest.mark.parametrize("options", [{"overwrite": True}, {"resume": True}, {}])
def test_shards_are_no_place_for_a_model(shards, options):
    before = sorted(shards.folder.walk())
    refused("output_exists", bagging(1, shards.location, **options).fit, shards)
    assert sorted(shards.folder.walk()) == before
    shards.verify()


def test_a_model_is_no_place_for_shards(shards, frame, tmp_path):
    bagging(1, tmp_path / "m").fit(shards)
    for overwrite in (False, True):
        refused(
            "output_exists",
            sd.partition,
            frame,
            str(tmp_path / "m"),
            label="label",
            overwrite=overwrite,
        )
    assert depths(tmp_path / "m") == [1, 1]
    both = bagging(1, tmp_path / "x", shardsDir=f"file://{tmp_path}/x")
    refused("same_folder", both.fit, frame)


def test_one_fit_at_a_time(shards, tmp_path):
    home = tmp_path / "m"
    with FolderLock(Folder.at(home), application="another"):
        error = refused("output_busy", bagging(1, home).fit, shards)
    assert "another" in error.message
    model = bagging(1, home).fit(shards)
    assert not [n for n in model.folder.walk() if ".lock" in n]
    outcomes = []

    def fit():
        try:
            bagging(2, home, overwrite=True).fit(shards)
            outcomes.append("fitted")
        except SparkMLDistError as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=fit) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) in (["fitted", "output_busy"], ["fitted", "fitted"])
    assert depths(home) == [2, 2]


def forged(path, change):
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(with_checksum(value)))


def test_a_model_inside_names_no_class_of_others(shards, frame, tmp_path, monkeypatch):
    models = [bagging(1, tmp_path / "a").fit(shards), bagging(2, tmp_path / "b").fit(shards)]
    sd.vote(models, modelDir=str(tmp_path / "v"))
    (tmp_path / "v" / "evil.py").write_text("raise SystemExit('ran')")
    monkeypatch.syspath_prepend(str(tmp_path / "v"))
    inner = tmp_path / "v" / "models" / "000" / "manifest.json"
    forged(inner, lambda v: v.update({"class": "evil.Model"}))
    refused("file_altered", sd.load_model, str(tmp_path / "v"))
    file = ModelFile.of(Folder.at(tmp_path / "v"), "models/000/manifest.json")

    def vouch(value):
        for entry in value["files"]:
            if entry["name"] == file.name:
                entry.update(file.to_dict())

    forged(tmp_path / "v" / "manifest.json", vouch)
    refused("unknown_saved_class", sd.load_model, str(tmp_path / "v"))


def test_a_part_of_another_model_is_not_changed_where_it_lies(shards, tmp_path):
    models = [bagging(1, tmp_path / "a").fit(shards), bagging(2, tmp_path / "b").fit(shards)]
    vote = sd.load_model(sd.vote(models, modelDir=str(tmp_path / "v")).folder.location)
    place = vote.models[0].folder.location
    refused("part_of_another", vote.models[0].write().overwrite().save, place)
    vote.models[0].save(str(tmp_path / "out"))
    assert depths(tmp_path / "out") == [1, 1]


def test_stages_of_spark_are_of_known_classes_and_listed_files(spark, frame, tmp_path):
    from pyspark.ml import Pipeline

    names = ["sepal length (cm)", "petal length (cm)"]
    stages = [VectorAssembler(inputCols=names, outputCol="features"), SparkLogisticRegression()]
    model = Pipeline(stages=stages).fit(frame)
    folder = Folder.at(tmp_path)
    files = save_stage(model, folder, "stage")
    assert check_stage(folder, "stage", files).endswith("PipelineModel")
    extra = next((tmp_path / "stage").glob("stages/*/data/*.parquet"))
    shutil.copy(extra, extra.with_name("part-9.parquet"))
    refused("unlisted_file", check_stage, folder, "stage", files)
    extra.with_name("part-9.parquet").unlink()
    for stage in (SQLTransformer(statement="SELECT * FROM __THIS__"),):
        more = save_stage(PipelineModel(stages=[stage]), folder, "sql")
        error = refused("untrusted_type", check_stage, folder, "sql", more)
        assert "SQLTransformer" in error.message
        assert check_stage(folder, "sql", more, ["pyspark.ml.feature.SQLTransformer"])
    for change in ({"class": "evil.Model"}, {"uid": "../../elsewhere"}):
        shutil.rmtree(tmp_path / "stage")
        files = save_stage(model, folder, "stage")
        part = next((tmp_path / "stage" / "metadata").glob("part-*"))
        part.write_text(json.dumps(json.loads(part.read_text()) | change))
        code = "untrusted_type" if "class" in change else "damaged_member"
        refused(code, check_stage, folder, "stage", files)


def test_a_pipeline_with_our_stages_is_saved_and_loaded(frame, tmp_path):
    from pyspark.ml import Pipeline

    line = sd.BaggingClassifier(estimator=LogisticRegression(), numMembers=1, numShards=1)
    model = Pipeline(stages=[line]).fit(frame)
    model.write().overwrite().save(str(tmp_path / "p"))
    again = PipelineModel.load(str(tmp_path / "p"))
    assert again.transform(frame).collect() == model.transform(frame).collect()
    metadata = next((tmp_path / "p" / "stages").glob("*/metadata/part-*"))
    assert json.loads(metadata.read_text())["class"] == "sparkml_dist.BaggingClassificationModel"
