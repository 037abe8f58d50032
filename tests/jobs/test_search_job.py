"""The job that searches: its options reach the search, and its model scores held-out rows."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sparkml_dist import load_model
from sparkml_dist.cli.output import JobOutput
from sparkml_dist.cli.runner import Job
from sparkml_dist.cli.searches import search_of
from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.persistence.filesystem import Folder

ROOT = Path(__file__).resolve().parents[2]
TREE = ("--estimator", "sklearn.tree.DecisionTreeClassifier")
BAYES = ("--estimator", "GaussianNB")


@pytest.fixture(scope="module")
def job():
    spec = importlib.util.spec_from_file_location("search", ROOT / "jobs" / "search.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def chosen(job):
    def of(*options):
        line = ["--train", "t.csv", "--output", "o", *map(str, options)]
        return search_of(job.options().parse_args(line))

    return of


def test_options_reach_the_search(chosen):
    search = chosen(
        *TREE,
        *("--space", '{"max_depth": [2, 4], "ccp_alpha": {"low": 0.01, "high": 1, "log": true}}'),
        *("--trials", 7, "--sampler", "random", "--scheduler", "halving", "--metric", "auc"),
        *("--also", "log_loss", "--max-bytes", 1000, "--folds", 3, "--time-budget", 60),
        *("--ensemble", 5, "--trial-timeout", 9, "--trial-memory", "64m", "--deterministic"),
    )
    assert search.getNumTrials() == 7 and search.getMetrics() == ["log_loss"]
    assert (search.getSampler(), search.getScheduler()) == ("random", "halving")
    assert search.getConstraints() == {"bytes": 1000}
    assert (search.getRefit(), search.getEnsembleSize()) == ("ensemble", 5)
    assert search.getTrialTimeout() == 9 and search.getDeterministic()
    space = search.getSpace()
    assert space["max_depth"] == [2, 4]
    assert (space["ccp_alpha"].low, space["ccp_alpha"].log) == (0.01, True)


def test_several_learners_have_names_and_pipelines(chosen):
    search = chosen(*TREE, "--space", '{"max_depth": [2]}', *BAYES, *TREE, "--impute", "mean")
    named = search.getEstimator()
    assert [name for name, _ in named] == [
        "DecisionTreeClassifier",
        "GaussianNB",
        "DecisionTreeClassifier-2",
    ]
    assert search.getSpace() == {
        "DecisionTreeClassifier": {"decisiontreeclassifier__max_depth": [2]}
    }


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ((*TREE, "--space", "{}", "--space", "{}"), "2 --space for 1"),
        ((*TREE, "--space", '{"max_depth": 3}'), "max_depth"),
        ((*TREE, "--space", '{"max_depth": {"low": 3}}'), "max_depth"),
        ((*TREE, "--space", '{"max_depth": {"low": 3, "high": 1, "int": true}}'), "max_depth"),
        (("--estimator", "sklearn.tree.DecisionTreClassifier"), "DecisionTreeClassifier"),
    ],
    ids=["spaces", "number", "half a range", "range", "estimator"],
)
def test_wrong_options(chosen, options, part):
    with pytest.raises(SparkMLDistError) as caught:
        chosen(*options)
    assert part in str(caught.value)


def test_a_search(job, spark, tmp_path):
    from sklearn.datasets import load_iris

    load_iris(as_frame=True).frame.to_csv(tmp_path / "iris.csv", index=False)
    out = tmp_path / "out"
    line = ["--train", tmp_path / "iris.csv", "--label", "target", "--shards", 2, *TREE]
    line += ["--space", '{"max_depth": [1, 3], "min_samples_leaf": [1, 4]}', "--sampler", "grid"]
    args = job.options().parse_args(list(map(str, [*line, "--output", out])))
    running = Job("search")
    running.output = JobOutput(Folder.at(out))
    job.main(args, running)
    document = running.document.to_dict()
    assert document["trials"] == 4 and document["search"]["failed"] == 0
    assert document["search"]["best"]["params"]["max_depth"] in (1, 3)
    assert document["metrics"]["accuracy"] > 0.6
    assert load_model(str(out / "model")).bestScore == document["search"]["best"]["score"]
    plots = {p.name for p in (out / "plots").iterdir()}
    assert {"search_history.png", "rungs.png", "confusion_matrix.png"} <= plots
