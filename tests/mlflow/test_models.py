"""Models in MLflow: logged without pickle, opened with checks, found by their names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import sparkml_dist.mlflow as tracking
from sparkml_dist.errors import ConfigurationError, StorageError
from tests.long import cases
from tests.mlflow.store import ROWS, SAMPLES

KINDS = cases(
    ["BaggingRegressionModel", "VotingClassificationModel", "CalibratedClassificationModel"],
    ["BaggingRegressionModel"],
)


@pytest.fixture
def logged(store, sample):
    import mlflow

    with mlflow.start_run():
        return tracking.log_model(sample, registered_model_name="kinds", alias="champion")


def home_of(info):
    import mlflow

    return Path(mlflow.MlflowClient().get_logged_model(info.model_id).artifact_location[7:])


def refused(code, uri, **options):
    with pytest.raises((StorageError, ConfigurationError)) as error:
        tracking.load_model(uri, **options)
    assert error.value.code == code
    return str(error.value)


def test_every_uri_opens_the_same_model(logged, sample):
    version = logged.registered_model_version
    for uri in (
        logged.model_uri,
        f"runs:/{logged.run_id}/model",
        f"models:/kinds/{version}",
        "models:/kinds/latest",
        "models:/kinds@champion",
        "models:/kinds/champion",
    ):
        loaded = tracking.load_model(uri)
        assert (type(loaded), loaded.uid) == (type(sample), sample.uid)
    assert {p.suffix for p in home_of(logged).rglob("*") if p.is_file()} <= {
        *("", ".json", ".skops", ".txt", ".yaml", ".npz")
    }


def test_pyfunc_scores_a_frame_as_the_model_does(logged, sample):
    import mlflow

    local = sample.to_sklearn()
    found = mlflow.pyfunc.load_model("models:/kinds@champion").predict(ROWS)
    assert list(found.columns) == ["prediction", "probability", "predictedLabel"]
    assert np.allclose(np.stack(found["probability"]), local.predict_proba(ROWS))
    assert found["predictedLabel"].tolist() == local.predict(ROWS).tolist()
    names = [c.name for c in logged.signature.inputs]
    assert names == ["x", "z", "kind"]


@pytest.mark.parametrize("kind", KINDS)
def test_other_models_score_as_they_do(store, kind):
    import mlflow

    import sparkml_dist as sd

    rows = ROWS.dropna()

    model = sd.load_model(str(SAMPLES / kind))
    uri = tracking.log_model(model, input_example=rows.head(1)).model_uri
    scored = mlflow.pyfunc.load_model(uri).predict(rows)
    local = model.to_sklearn()
    if model.label.is_regression:
        assert scored["prediction"].tolist() == local.predict(rows).tolist()
    else:
        assert np.allclose(np.stack(scored["probability"]), local.predict_proba(rows))
        classes = [model.label.classes[int(i)] for i in scored["prediction"]]
        assert classes == local.predict(rows).tolist()


@pytest.mark.long
def test_a_model_that_needs_spark_scores_a_frame_with_it(store, spark):
    import mlflow

    import sparkml_dist as sd

    model = sd.load_model(str(SAMPLES / "StackingClassificationModel"))
    with pytest.raises(ConfigurationError, match="no_local_form"):
        model.to_sklearn()
    rows = ROWS.dropna()
    scored = mlflow.pyfunc.load_model(tracking.log_model(model).model_uri).predict(rows)
    expected = model.transform(spark.createDataFrame(rows)).toPandas()
    assert scored["predictedLabel"].tolist() == expected["predictedLabel"].tolist()
    assert scored.index.tolist() == rows.index.tolist()


def test_no_row_is_stored_unless_it_is_given(store, sample):
    without = tracking.log_model(sample)
    assert without.saved_input_example_info is None
    given = tracking.log_model(sample, input_example=ROWS.head(2))
    stored = json.loads((home_of(given) / "input_example.json").read_text())
    assert len(stored["data"]) == 2
    with pytest.raises(ConfigurationError, match="at most 20"):
        tracking.log_model(sample, input_example=pd.concat([ROWS] * 7))


def test_an_altered_artifact_is_refused(logged):
    import mlflow

    member = next((home_of(logged) / "model").rglob("*.skops"))
    member.write_bytes(member.read_bytes()[:-1] + b"x")
    assert member.name in refused("file_altered", "models:/kinds@champion")
    with pytest.raises(StorageError, match="file_altered"):
        mlflow.pyfunc.load_model(logged.model_uri)


def test_a_folder_outside_is_not_opened(logged):
    path = home_of(logged) / "MLmodel"
    path.write_text(path.read_text().replace("data: model\n", "data: ../../model\n"))
    refused("name_outside_folder", logged.model_uri)


def test_what_the_loader_names_is_not_imported(logged):
    path = home_of(logged) / "MLmodel"
    path.write_text(path.read_text().replace("sparkml_dist.mlflow", "antigravity"))
    import sys

    tracking.load_model(logged.model_uri)
    assert "antigravity" not in sys.modules


def test_a_signed_model(store, sample, monkeypatch):
    monkeypatch.setenv("MODEL_KEY", "k" * 32)
    signed = tracking.log_model(sample, sign="MODEL_KEY").model_uri
    tracking.load_model(signed, verify="MODEL_KEY")
    refused("not_signed", tracking.log_model(sample).model_uri, verify="MODEL_KEY")


def test_a_model_of_another_kind(store, tmp_path):
    import mlflow
    from mlflow.models import Model

    (tmp_path / "other").mkdir()
    other = Model()
    other.add_flavor("sklearn", data="model.pkl")
    other.save(str(tmp_path / "other" / "MLmodel"))
    with mlflow.start_run() as run:
        mlflow.log_artifacts(str(tmp_path / "other"), "theirs")
        mlflow.log_text("nothing", "notes/a.txt")
    assert "flavours are sklearn" in refused("other_flavour", f"runs:/{run.info.run_id}/theirs")
    refused("not_a_model", f"runs:/{run.info.run_id}/notes")
    refused("tracking_failed", f"runs:/{run.info.run_id}/nowhere")


def test_names_that_do_not_exist_are_told_with_those_that_do(logged):
    text = refused("model_not_registered", "models:/kind/1")
    assert "Did you mean 'kinds'?" in text
    text = refused("model_not_registered", "models:/kinds@chmpion")
    assert "Did you mean 'champion'?" in text and "aliases: champion" in text
    text = refused("model_not_registered", "models:/kinds/Production")
    assert "no alias or stage 'Production'" in text
    assert "Versions are: 1" in refused("model_not_registered", "models:/kinds/999")
    refused("model_not_registered", "models:/kinds@latest")
    refused("invalid_model_uri", "models:/kinds/1/2")


def test_registering_what_is_logged(store, sample):
    uri = tracking.log_model(sample).model_uri
    first = tracking.register(uri, "later")
    second = tracking.register(uri, "later", alias="challenger", tags={"by": "tests"})
    assert second == first + 1
    from sparkml_dist.mlflow.registry import resolve

    assert resolve("models:/later@challenger").version == second


def test_only_fitted_models_of_this_library(store):
    from sklearn.tree import DecisionTreeClassifier

    from sparkml_dist import BaggingClassifier

    for other in (DecisionTreeClassifier(), BaggingClassifier(estimator=DecisionTreeClassifier())):
        with pytest.raises(ConfigurationError, match="not_loggable"):
            tracking.log_model(other)


def test_the_copy_goes_where_workers_reach_it(logged, tmp_path, sample):
    loaded = tracking.load_model(logged.model_uri, folder=str(tmp_path / "shared"))
    assert loaded.folder.location.startswith(str(tmp_path / "shared"))
    assert loaded.uid == sample.uid
