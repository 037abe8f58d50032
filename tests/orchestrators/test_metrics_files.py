"""The metrics that runs left in files, found from their options."""

from __future__ import annotations

import json

import pytest

from sparkml_dist.orchestrators.metrics_files import stored_documents, stored_metrics

OK = {"job": "profile", "run_id": "a", "status": "ok", "metrics": {"accuracy": 1.0}}
FAILED = {"job": "profile", "run_id": "b", "status": "failed", "error": {"exit_status": 12}}


@pytest.fixture
def output(tmp_path):
    (tmp_path / "metrics.json").write_text(json.dumps(OK))
    return tmp_path


@pytest.mark.parametrize("form", ["{}", "{}/", "file://{}"])
def test_metrics_of_an_output_folder(output, form):
    assert stored_metrics(["--output", form.format(output)]) == OK


def test_a_failed_run_leaves_the_metrics_of_the_one_before(output):
    (output / "metrics.failed.json").write_text(json.dumps(FAILED))
    assert stored_metrics(["--output", str(output)]) == OK
    assert stored_documents(["--output", str(output)]) == [FAILED, OK]


def test_a_file_of_its_own_comes_first(output, tmp_path, monkeypatch):
    own = tmp_path / "own.json"
    own.write_text(json.dumps(OK | {"run_id": "c"}))
    options = ["--output", str(output), "--metrics-out"]
    assert stored_metrics([*options, str(own)])["run_id"] == "c"
    monkeypatch.chdir(tmp_path)
    assert stored_metrics([*options, "own.json"])["run_id"] == "c"


@pytest.mark.parametrize("content", ["", "[1]", "{}", '{"a": 1}'])
def test_what_is_no_document_is_none(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    assert stored_metrics(["--output", str(tmp_path)]) is None


@pytest.mark.parametrize(
    "arguments",
    [[], ["--output", "/nowhere"], ["--output", "nowhere://a/b"], ["--metrics-out", "/nowhere/x"]],
)
def test_what_cannot_be_read_is_none(arguments):
    assert stored_metrics(arguments) is None
