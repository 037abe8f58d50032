"""The command line of a job, and what another attempt adds to it."""

from __future__ import annotations

import importlib.util

import pytest

from sparkml_dist.orchestrators.arguments import RESUMABLE, as_texts, job_of, option, with_resume
from tests.examples import ROOT

JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("*.py"))


@pytest.mark.parametrize("job", JOBS)
def test_resumable_jobs_are_those_with_the_option(job):
    spec = importlib.util.spec_from_file_location(f"job_{job}", ROOT / "jobs" / f"{job}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (job in RESUMABLE) == ("--resume" in module.options()._option_string_actions)


def test_resumable_jobs_exist():
    assert set(JOBS) >= RESUMABLE


@pytest.mark.parametrize(
    "application", ["jobs/score.py", "/opt/x/score.py", "s3a://bucket/score.py", "score"]
)
def test_a_job_is_named_after_its_file(application):
    assert job_of(application) == "score"


def test_numbers_become_text():
    assert as_texts(["--members", 20, "--eta", 0.1]) == ["--members", "20", "--eta", "0.1"]
    assert as_texts(None) == []


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (["--output", "a"], "a"),
        (["--output=a"], "a"),
        (["--output", "a", "--x", "--output", "b"], "b"),
        (["--output-x", "a"], None),
        (["--output"], None),
    ],
)
def test_the_last_value_of_an_option_counts(arguments, found):
    assert option(arguments, "--output") == found


def test_another_attempt_resumes_where_it_can():
    assert with_resume(["--output", "a"], "profile") == ["--output", "a", "--resume"]
    assert with_resume(["--output", "a", "--resume"], "profile") == ["--output", "a", "--resume"]


def test_another_attempt_of_an_overwriting_run_begins_anew():
    # --resume would take yesterday's complete output for today's.
    assert with_resume(["--output", "a", "--overwrite"], "profile") == [
        *("--output", "a", "--overwrite")
    ]


def test_jobs_without_the_option_are_repeated():
    assert with_resume([], "somebody_elses") == []
