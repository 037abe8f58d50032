"""The output folder of a job: what was good stays until what replaces it is complete."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from sparkml_dist import errors
from sparkml_dist.cli.document import MetricsDocument
from sparkml_dist.cli.options import JobParser, add_common_options, add_existing_output_options
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import run_job
from sparkml_dist.persistence import replacing
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.lock import FolderLock


class Cut(BaseException):
    """The process ends here."""


def parser():
    found = JobParser("sample", "A sample.")
    found.add_argument("--output")
    found.add_argument("--plan", default="a")
    found.add_argument("--fail")
    add_existing_output_options(found)
    add_common_options(found)
    return found


def work(args, job):
    """Write what a training job does: a model, a table of several files, a plot."""
    output = job.output
    output.overwrite, output.resume = args.overwrite, args.resume
    plan = {"plan": args.plan}
    if output.check(plan) and job.already_done(output):
        return
    resumed = output.claim(plan)
    job.document.more["resumed"] = resumed
    if args.fail == "early":
        output.shards.write_bytes("shard", b"half")
        raise errors.DataError("one_class", "All rows have the same label.", "Give more data.")
    if not output.model.exists("manifest.json"):
        output.model.write_bytes("manifest.json", args.plan.encode())
    if args.fail:
        raise errors.DataError("infinite_feature", "Column 'x' holds inf.", "Drop those rows.")
    for name in ("a", "b") if args.plan == "a" else ("b", "c"):
        output.folder.child("rows").write_bytes(name, args.plan.encode())
    job.document.more["output"] = output.place("model")
    output.commit(job.document)


@pytest.fixture
def run(tmp_path, capsys):
    def start(*options):
        argv = ["--output", str(tmp_path / "out"), *options]
        status = run_job("sample", parser(), work, argv)
        out, err = capsys.readouterr()
        return status, json.loads(out.splitlines()[-1]), out + err

    return start


def content(tmp_path):
    out = tmp_path / "out"
    return {p.relative_to(out).as_posix(): p.read_text() for p in out.rglob("*") if p.is_file()}


def test_a_run_that_fails_leaves_what_was_good(run, tmp_path):
    assert run()[0] == 0
    good = content(tmp_path)
    assert set(good) == {
        *("job.json", "metrics.json", "report.html", "model/manifest.json", "rows/a", "rows/b")
    }
    for options, status in (
        (["--plan", "b"], 14),
        (["--plan", "b", "--resume"], 10),
        (["--plan", "b", "--overwrite", "--fail", "1"], 11),
        (["--unknown"], 2),
    ):
        found, document, told = run(*options)
        assert found == status
        after = content(tmp_path)
        assert {name: after[name] for name in good} == good
        assert json.loads(after["metrics.failed.json"]) == document
        assert (document["status"], document["error"]["exit_status"]) == ("failed", status)
        assert f"are in {tmp_path}/out/metrics.failed.json" in told


def test_the_interrupted_replacement_is_completed(run, tmp_path):
    run()
    assert run("--plan", "b", "--overwrite", "--fail", "1")[0] == 11
    assert (tmp_path / "out/next/model/manifest.json").read_text() == "b"
    status, document, _ = run("--plan", "b", "--resume")
    assert (status, document["resumed"]) == (0, True)
    after = content(tmp_path)
    assert set(after) == {
        *("job.json", "metrics.json", "report.html", "model/manifest.json", "rows/b", "rows/c")
    }
    assert {after[n] for n in after if "/" in n} == {"b"}
    assert json.loads(after["metrics.json"]) == document
    assert json.loads(after["job.json"])["plan"] == {"plan": "b"}


def test_the_earlier_run_may_be_resumed_in_spite_of_an_interrupted_replacement(run, tmp_path):
    first = run()[1]
    run("--plan", "b", "--overwrite", "--fail", "1")
    status, document, told = run("--resume")
    assert (status, document) == (0, first)
    assert "it is left as it is" in told
    assert json.loads((tmp_path / "out/metrics.json").read_text()) == first
    assert run("--plan", "c", "--resume")[1]["error"]["code"] == "plan_differs"


def test_what_an_interrupted_replacement_left_is_removed_by_the_next(run, tmp_path):
    run()
    run("--plan", "b", "--overwrite", "--fail", "1")
    assert run("--plan", "c", "--overwrite")[0] == 0
    assert content(tmp_path)["model/manifest.json"] == "c"
    assert not (tmp_path / "out/next").exists()


def test_a_first_run_that_fails_is_completed_in_place(run, tmp_path):
    assert run("--fail", "1")[0] == 11
    assert json.loads(content(tmp_path)["metrics.json"])["status"] == "failed"
    assert run()[0] == 14
    status, document, _ = run("--resume")
    assert (status, document["status"]) == (0, "ok")
    assert set(content(tmp_path)) == {
        *("job.json", "metrics.json", "report.html", "model/manifest.json", "rows/a", "rows/b"),
    }


def test_data_that_cannot_be_used_leaves_nothing_half_finished(run, tmp_path):
    assert run("--fail", "early")[0] == 11
    assert set(content(tmp_path)) == {"metrics.json", "report.html"}
    assert "Give more data." in content(tmp_path)["report.html"]
    assert not (tmp_path / "out/shards").exists()
    assert run()[0] == 0
    good = content(tmp_path)
    assert run("--plan", "b", "--overwrite", "--fail", "early")[0] == 11
    assert content(tmp_path).keys() - good.keys() == {"metrics.failed.json", "report.failed.html"}


def test_metrics_with_another_place(run, tmp_path):
    run()
    elsewhere = tmp_path / "m.json"
    assert run("--overwrite", "--metrics-out", str(elsewhere))[0] == 0
    assert json.loads(elsewhere.read_text())["status"] == "ok"
    assert "metrics.json" not in content(tmp_path)
    status, document, _ = run("--resume", "--metrics-out", str(elsewhere))
    assert (status, document["status"]) == (0, "ok")
    assert run("--plan", "b", "--resume")[0] == 10
    assert "metrics.json" not in content(tmp_path)


def cut_after(patch, steps):
    left = [steps]

    def limited(method):
        def step(*args):
            if left[0] == 0:
                raise Cut
            left[0] -= 1
            return method(*args)

        return step

    for name in ("write_bytes", "move", "delete", "delete_file"):
        patch.setattr(Folder, name, limited(getattr(Folder, name)))
    patch.setattr(replacing, "_exchange", limited(replacing._exchange))


@pytest.mark.parametrize("after", ["overwrite", "resume"])
def test_killed_at_every_step_of_a_replacement(tmp_path, after):
    """A reader finds the old or the new of each thing, and the next run ends what was begun."""
    for steps in range(60):
        home = Folder.at(tmp_path / str(steps) / "out")

        def attempt(plan, mode="", home=home):
            from sparkml_dist.cli.runner import Job

            job = Job("sample")
            job.output = JobOutput(home)
            argv = ["--plan", plan, *([f"--{mode}"] if mode else [])]
            work(parser().parse_args(argv), job)
            if job.document.earlier is None:
                job.output.record(job.document)
            job.output.unlock()

        attempt("a")
        with pytest.MonkeyPatch.context() as patch:
            cut_after(patch, steps)
            try:
                attempt("b", "overwrite")
                break
            except Cut:
                pass
        found = content(tmp_path / str(steps))
        assert found["model/manifest.json"] in "ab"
        rows = {n: found[n] for n in found if n.startswith("rows/") and "." not in n}
        assert rows in ({"rows/a": "a", "rows/b": "a"}, {"rows/b": "b", "rows/c": "b"})
        assert json.loads(found["metrics.json"])["status"] == "ok"
        attempt("b", after if "next/job.json" in found or after == "overwrite" else "overwrite")
        end = {n: c for n, c in content(tmp_path / str(steps)).items() if ".lock" not in n}
        assert set(end) == {
            *("job.json", "metrics.json", "report.html", "model/manifest.json", "rows/b", "rows/c")
        }
        assert end["model/manifest.json"] == end["rows/b"] == "b"
    assert 15 < steps < 59


def test_an_output_whose_job_file_is_somebody_elses(tmp_path):
    (tmp_path / "job.json").write_text('{"name": "nightly"}')
    with pytest.raises(errors.StorageError, match="no job's output"):
        JobOutput(Folder.at(tmp_path), overwrite=True).check({})


def test_what_a_killed_first_run_left_unfinished_is_no_obstacle(tmp_path):
    (tmp_path / f".job.json.{'0a' * 16}.tmp").write_text("{")
    assert JobOutput(Folder.at(tmp_path)).claim({}) is False


def test_the_shards_that_a_run_was_lent_by_the_output_it_replaces(tmp_path):
    home = Folder.at(tmp_path)
    first = JobOutput(home)
    first.claim({})
    first.shards.write_bytes("s", b"1")
    first.commit(MetricsDocument("sample"))
    second = JobOutput(home, overwrite=True, kept={"shards"})
    second.claim({})
    second.model.write_bytes("m", b"1")
    second.commit(MetricsDocument("sample"))
    assert home.walk() == ["job.json", "metrics.json", "model/m", "report.html", "shards/s"]


def test_the_second_of_two_runs_is_told_and_writes_nothing(run, tmp_path):
    run()
    good = content(tmp_path)
    with FolderLock(Folder.at(tmp_path / "out"), application="nightly"):
        status, document, told = run("--plan", "b", "--overwrite")
        assert (status, document["error"]["code"]) == (14, "output_busy")
        assert "nightly" in told
    assert content(tmp_path) == good
    assert run("--overwrite")[0] == 0


# A shell starts what it runs in the background with SIGINT ignored, and so its children.
WAITS = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
from sparkml_dist.cli.runner import run_job
from sparkml_dist.cli.options import JobParser, add_common_options
def main(args, job):
    print("ready", flush=True)
    time.sleep(60)
parser = JobParser("sample", "")
parser.add_argument("--output")
add_common_options(parser)
sys.exit(run_job("sample", parser, main))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_leaves_no_lock_that_holds(run, tmp_path, number):
    run()
    process = subprocess.Popen(
        [sys.executable, "-c", WAITS, "--output", str(tmp_path / "out")],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ},
    )
    assert process.stdout.readline() == "ready\n"
    assert run("--overwrite")[1]["error"]["code"] == "output_busy"
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    if number != signal.SIGKILL:
        assert json.loads(out.splitlines()[-1])["error"]["code"] == "interrupted"
        assert len(err.splitlines()) == 1
        assert not list((tmp_path / "out").glob(".lock*"))
    began = time.monotonic()
    assert run("--overwrite")[0] == 0
    assert time.monotonic() - began < 2
