"""Servers and packages that are not there: told at once, in one line."""

from __future__ import annotations

import socket
import sys

import pytest

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.mlflow.server import check_answers, mlflow_package


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_server_that_does_not_answer(store):
    with pytest.raises(StorageError, match="could not reach the tracking server") as error:
        check_answers(f"http://user:secret@127.0.0.1:{closed_port()}")
    assert error.value.code == "tracking_failed"
    assert "secret" not in str(error.value)


def test_a_store_that_cannot_be_opened(store, tmp_path):
    (tmp_path / "store.db").write_text("This is no database. " * 100)
    with pytest.raises(StorageError, match="tracking_failed"):
        check_answers(f"sqlite:///{tmp_path}/store.db")


def test_a_scheme_that_is_not_known(store):
    with pytest.raises(StorageError, match="tracking_failed"):
        check_answers("carrier-pigeon://coop")


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigurationError, match="sparkml_dist\\[mlflow\\]") as error:
        mlflow_package()
    assert error.value.code == "mlflow_missing"
