"""What is not part of a model, and why; and which trials a goal counts."""

from __future__ import annotations

from sparkml_dist.automl.leaderboard import leaderboard_rows, what_was_left
from sparkml_dist.search.schedulers.scheduler import Run
from sparkml_dist.search.sequencer import Job
from sparkml_dist.search.space import Setting
from sparkml_dist.search.trial_record import new_record


class Searched:
    """An engine that has run."""

    def __init__(self, records):
        self.records = {(r["trial"], r["rung"]): r for r in records}
        self.jobs = {
            (t, rung): Job(t, Run(t, rung, 1), Setting("linear", {"learner__C": float(t)}, {}))
            for t, rung in self.records
        }


def done(trial, score, rung=0, peak=0.0):
    scores = {"auc": score, "log_loss": 1.0}
    return new_record(trial, rung, 10, scores=scores, seconds=2.0, peak_rss_mb=peak)


def test_the_best_first_and_failures_last():
    failed = new_record(2, 0, 10, state="timeout", reason="It took more than 3 s.")
    engine = Searched([done(0, 0.7), done(1, 0.9), failed, done(3, float("nan"))])
    rows = leaderboard_rows(engine, "auc", {1: 0.75, 0: 0.25})
    assert [row["trial"] for row in rows] == [1, 0, 2, 3]
    assert [row["weight"] for row in rows] == [0.75, 0.25, 0.0, 0.0]
    assert rows[0]["params"] == '{"C": 1.0}' and rows[3]["score"] is None
    smaller = leaderboard_rows(engine, "log_loss", {})
    assert [row["trial"] for row in smaller] == [0, 1, 3, 2]
    left = what_was_left({"id": "numbers the rows"}, {"xgboost": "is not among families"}, rows)
    assert left == [
        ("column id", "numbers the rows"),
        ("family xgboost", "is not among families"),
        ("trial 2 (linear)", "timeout: It took more than 3 s."),
    ]


def test_a_trial_counts_with_its_highest_rung():
    engine = Searched([done(0, 0.8, peak=90.0), done(0, 0.6, rung=1, peak=80.0), done(1, 0.7)])
    rows = leaderboard_rows(engine, "auc", {})
    assert [(row["trial"], row["score"], row["seconds"]) for row in rows] == [
        (1, 0.7, 2.0),
        (0, 0.6, 4.0),
    ]
    assert [row["peakRssMb"] for row in rows] == [0.0, 90.0]
