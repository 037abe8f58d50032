"""How a job ends: status, one line on stderr, metrics on stdout and in a file."""

from __future__ import annotations

import json

import pytest

from sparkml_dist import errors
from sparkml_dist.cli.failures import as_toolkit_error
from sparkml_dist.cli.options import JobParser, add_common_options
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import run_job
from sparkml_dist.persistence.filesystem import Folder


def run(main, argv, capsys):
    parser = JobParser("sample", "A sample.")
    parser.add_argument("--output")
    add_common_options(parser)
    status = run_job("sample", parser, main, argv)
    out, err = capsys.readouterr()
    return status, json.loads(out.splitlines()[-1]), err


def failing(error):
    def main(args, job):
        raise error

    return main


def test_a_good_end(tmp_path, capsys):
    def main(args, job):
        job.document.rows = 3
        job.document.metrics = {"accuracy": 0.5, "roc_auc": float("nan")}
        job.document.parts["members"] = 2
        with job.stage("fit"):
            pass

    status, document, err = run(main, ["--output", str(tmp_path / "out")], capsys)
    assert (status, err) == (0, "")
    assert list(document)[:10] == [
        "job",
        "status",
        "run_id",
        "rows",
        "features",
        "classes",
        "members",
        "seconds",
        "metrics",
        "memory",
    ]
    assert (document["status"], document["rows"], document["members"]) == ("ok", 3, 2)
    assert document["metrics"] == {"accuracy": 0.5, "roc_auc": None}
    assert {"fit", "total"} <= set(document["seconds"])
    assert document["versions"]["sparkml_dist"]
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == document


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.ConfigurationError("a_code", "Wrong.", "Do."), 10, "a_code"),
        (errors.DataError("a_code", "Wrong.", "Do."), 11, "a_code"),
        (errors.ResourceError("a_code", "Wrong.", "Do."), 12, "a_code"),
        (errors.TrainingError("a_code", "Rank 1 died.\nThe end of its log:\n  x"), 13, "a_code"),
        (errors.StorageError("a_code", "Wrong.", "Do."), 14, "a_code"),
        (ValueError("nobody knew"), 1, "unexpected"),
        (KeyboardInterrupt(), 1, "interrupted"),
        (PermissionError(13, "Permission denied"), 14, "storage_failed"),
    ],
)
def test_bad_ends(tmp_path, capsys, error, status, code):
    out = tmp_path / "metrics" / "m.json"
    found, document, err = run(failing(error), ["--metrics-out", str(out)], capsys)
    assert found == status
    assert len(err.splitlines()) == 1
    assert err.startswith(f"sample: error: [{code}] ")
    assert (document["status"], document["error"]["code"]) == ("failed", code)
    assert document["error"]["exit_status"] == status
    assert ("traceback" in document["error"]) == (code == "unexpected")
    assert json.loads(out.read_text()) == document


def test_a_wrong_command_line(tmp_path, capsys):
    argv = ["--seed", "x", "--metrics-out", str(tmp_path / "m.json")]
    status, document, err = run(failing(AssertionError), argv, capsys)
    assert (status, document["error"]["type"]) == (2, "UsageError")
    assert err.startswith("sample: error: [usage] argument --seed: must be a whole number")
    assert (tmp_path / "m.json").is_file()


def test_somebody_elses_folder_stays_as_it_is(tmp_path, capsys):
    (tmp_path / "thesis.txt").write_text("precious")
    error = errors.DataError("a_code", "Wrong.")
    status, document, _ = run(failing(error), ["--output", str(tmp_path)], capsys)
    assert (status, document["status"]) == (11, "failed")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.txt"]


def test_metrics_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    argv = ["--metrics-out", str(tmp_path / "file" / "m.json")]
    status, document, err = run(lambda args, job: None, argv, capsys)
    assert (status, document["status"]) == (14, "failed")
    assert len(err.splitlines()) == 1


SPARK_TEXT = """Job aborted due to stage failure: Task 0 in stage 3.0 failed 1 times
org.apache.spark.api.python.PythonException: Traceback (most recent call last):
  File "writer.py", line 7, in write
sparkml_dist.errors.DataError: [infinite_feature] Column 'x' holds inf. Hint: Drop those rows.

\tat org.apache.spark.api.python.BasePythonRunner
"""


def test_an_error_of_a_worker_is_made_anew():
    found = as_toolkit_error(RuntimeError(SPARK_TEXT))
    assert type(found) is errors.DataError
    assert (found.code, found.message) == ("infinite_feature", "Column 'x' holds inf.")
    assert found.hint == "Drop those rows."


def test_an_error_behind_an_error_is_found():
    try:
        try:
            raise errors.TrainingError("diverged", "The loss is NaN.")
        except errors.TrainingError as cause:
            raise RuntimeError("something broke") from cause
    except RuntimeError as error:
        assert as_toolkit_error(error).code == "diverged"


@pytest.mark.parametrize(
    ("text", "code", "status"),
    [
        ("java.lang.OutOfMemoryError: Java heap space", "jvm_out_of_memory", 12),
        ("Python worker exited unexpectedly (crashed)", "worker_died", 12),
        ("java.io.IOException: No space left on device", "disk_full", 14),
    ],
)
def test_what_spark_says_of_resources(text, code, status):
    found = as_toolkit_error(RuntimeError(text))
    assert (found.code, found.exit_status) == (code, status)


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        (
            ": org.apache.spark.SparkException: [FAILED_READ_FILE.NO_HINT] Encountered error while "
            "reading file file:///t.csv.gz.  SQLSTATE: KD001\n\tat x\n"
            "Caused by: java.io.IOException: not a gzip file\n",
            14,
            "file:///t.csv.gz.  (not a gzip file)",
        ),
        (
            "[COLUMN_ALREADY_EXISTS] The column `x` already exists. SQLSTATE: 42711",
            11,
            "The column `x` already exists.",
        ),
        ("[UNSUPPORTED_TIME_TYPE] The data type TIME is not supported.", 11, "data type TIME"),
    ],
)
def test_what_spark_says_of_the_input(text, status, told):
    found = as_toolkit_error(RuntimeError(text))
    assert found.exit_status == status
    assert told in found.message and found.hint


def test_what_the_disk_and_java_say():
    full = as_toolkit_error(OSError(28, "No space left on device"))
    assert (full.code, full.exit_status) == ("disk_full", 14)
    gone = as_toolkit_error(ConnectionRefusedError(111, "Connection refused"))
    assert (gone.code, gone.exit_status) == ("session_lost", 12)


@pytest.mark.modes
def test_errors_come_through_spark(spark):
    def fail(batches):
        from sparkml_dist.errors import DataError

        raise DataError("a_code", "Something 'odd' is wrong.", "Mend it.")

    with pytest.raises(Exception) as caught:
        spark.range(1).mapInArrow(fail, "id long").collect()
    found = as_toolkit_error(caught.value)
    assert (type(found).__name__, found.code) == ("DataError", "a_code")
    assert (found.message, found.hint) == ("Something 'odd' is wrong.", "Mend it.")


def output(path, **more):
    return JobOutput(Folder.at(path), **more)


def test_output_folders(tmp_path):
    home = tmp_path / "out"
    first = output(home)
    first.check({})
    assert first.claim({"seed": 1}) is False
    (home / "model").mkdir()
    (home / "model" / "a").write_text("x")
    with pytest.raises(errors.StorageError, match="output_exists"):
        output(home).check({})
    assert output(home, resume=True).claim({"seed": 1}) is True
    assert (home / "model" / "a").exists()
    with pytest.raises(errors.ConfigurationError, match="seed: 1 then, 2 now"):
        output(home, resume=True).claim({"seed": 2})
    new = output(home, overwrite=True)
    assert new.claim({"seed": 2}) is False
    assert (home / "model" / "a").exists()
    assert new.model.is_empty() and new.place("model") == f"{home}/model"


def test_a_stranger_is_never_overwritten(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(errors.StorageError, match="no job's output"):
        output(tmp_path, overwrite=True).check({})


def test_metrics_of_an_early_failure_are_no_obstacle(tmp_path):
    (tmp_path / "metrics.json").write_text('{"status": "failed"}')
    (tmp_path / "job.json").write_text('{"plan": {"label": "wrong"}}')
    output(tmp_path).check({})
    (tmp_path / "metrics.json").write_text('{"status": "ok"}')
    with pytest.raises(errors.StorageError):
        output(tmp_path).check({})
