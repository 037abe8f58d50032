"""A store of MLflow's in a SQLite file, made once: its tables take seconds."""

from __future__ import annotations

import pytest

from tests.mlflow.store import EXPERIMENT, SAMPLES


@pytest.fixture(scope="session")
def _made_store(spark, tmp_path_factory):
    # With the session: all tests of a store then run in one process.
    home = tmp_path_factory.mktemp("mlflow")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.chdir(home)
        import mlflow

        uri = f"sqlite:///{home}/store.db"
        mlflow.set_tracking_uri(uri)
        mlflow.create_experiment(EXPERIMENT, artifact_location=(home / "artifacts").as_uri())
        yield uri
        mlflow.set_tracking_uri(None)


@pytest.fixture
def store(_made_store, tmp_path, monkeypatch):
    """Its URI; runs go to the experiment of the tests, and nothing else is written anywhere."""
    import mlflow

    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.chdir(tmp_path)
    mlflow.set_tracking_uri(_made_store)
    mlflow.set_experiment(EXPERIMENT)
    yield _made_store
    while mlflow.active_run():
        mlflow.end_run()


@pytest.fixture
def sample():
    """A saved model of an earlier version: columns x, z (numbers) and kind (categories)."""
    import sparkml_dist as sd

    return sd.load_model(str(SAMPLES / "BaggingClassificationModel"))
