"""Which failures are tried again, and how a job's metrics are found in its log."""

from __future__ import annotations

import json
import re

import pytest

from sparkml_dist.orchestrators import outcome
from sparkml_dist.orchestrators.outcome import Outcome, printed_document
from tests.examples import ROOT


def failed(status: int, code: str) -> Outcome:
    error = {"code": code, "message": "It is.", "hint": "Do.", "exit_status": status}
    # A cluster manager reports 1.
    return Outcome(1, {"run_id": "a", "status": "failed", "job": "x", "error": error})


@pytest.mark.parametrize("status", [2, 10, 11])
def test_usage_configuration_and_data_are_permanent(status):
    assert Outcome(status).permanent
    assert failed(status, "usage").permanent


@pytest.mark.parametrize("status", [1, 12, 14, 137, 143, -9, None])
def test_resources_files_and_kills_are_not(status):
    assert not Outcome(status).permanent


def test_an_error_in_a_fit_is_permanent_unless_a_process_or_host_was_lost():
    assert failed(13, "diverged").permanent
    assert failed(13, "member_failed").permanent
    assert not failed(13, "rank_lost").permanent
    assert not failed(13, "gang_stalled").permanent
    assert not Outcome(13).permanent


def test_a_spark_that_does_not_start_may_start_later():
    assert not failed(10, "session_not_started").permanent


def test_an_output_that_is_there_stays_there():
    # Another attempt, with --resume, would take it for its own.
    assert failed(14, "output_exists").permanent
    assert not failed(14, "output_busy").permanent
    assert not failed(14, "disk_full").permanent


def test_the_codes_are_in_the_list_of_errors():
    text = (ROOT / "docs" / "errors.md").read_text()
    sections = re.split(r"^## (\w+) \(\d+\)$", text, flags=re.MULTILINE)
    listed = {
        name: set(re.findall(r"^\| `(\w+)` \|", body, re.MULTILINE))
        for name, body in zip(sections[1::2], sections[2::2], strict=True)
    }
    assert listed["TrainingError"] >= outcome._LOST
    assert listed["StorageError"] >= outcome._STAY
    assert listed["ConfigurationError"] >= outcome._PASS


def test_the_message_has_the_error():
    assert failed(11, "empty_data").message("profile") == (
        "profile ended with exit status 11: [empty_data] It is. Hint: Do."
    )
    assert Outcome(None).message("profile") == "profile failed; see the log."
    assert Outcome(137).message("profile") == "profile ended with exit status 137; see the log."


def test_the_document_is_the_last_one_in_the_log():
    document = {"job": "profile", "run_id": "b", "status": "ok", "metrics": {"x": 1}}
    lines = [
        json.dumps({"job": "profile", "run_id": "a", "status": "ok"}),
        json.dumps(document),
        "26/01/01 INFO ShutdownHookManager: Shutdown hook called",
        "{not JSON",
        json.dumps({"a": "line of Spark's log"}),
    ]
    assert printed_document(lines) == document
    assert printed_document(lines[2:]) is None
    assert printed_document(["[1]", "{}", ""]) is None
