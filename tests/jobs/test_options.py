"""The command lines of the jobs, before anything runs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sparkml_dist.cli.ensembles import EnsembleChoice
from sparkml_dist.cli.options import reading
from sparkml_dist.errors import UsageError

JOBS = Path(__file__).resolve().parents[2] / "jobs"


def parser(name):
    spec = importlib.util.spec_from_file_location(f"job_{name}", JOBS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.options()


TRAIN = ["--train", "a.csv", "--output", "out"]


def test_defaults_of_train_ensemble():
    args = parser("train_ensemble").parse_args(TRAIN)
    assert (args.members, args.method, args.voting, args.seed) == (None, "bagging", None, 0)
    choice = EnsembleChoice.of(args)  # the method's own defaults hold
    estimator = choice.estimator()
    assert (estimator.getNumMembers(), estimator.getVoting()) == (10, "soft")
    assert type(estimator.getEstimator()).__name__ == "DecisionTreeClassifier"
    assert (args.header, args.format, args.label, args.features) == (None, None, None, None)
    assert not (args.overwrite or args.resume)


def test_everything_that_can_be_said():
    line = (
        "--train a.csv --output out --label -1 --no-header --features a b* --features 3 "
        "--categorical auto --input-shape 28,28,1 --ranks 3 --epochs 5 --batch-size 64 "
        "--model cnn --memory-per-task 1g --resume --test-fraction 0.1 --delimiter tab "
        "--metrics-out m.json"
    )
    args = parser("train_deep").parse_args(line.split())
    assert (args.label, args.header, args.features) == ("-1", False, ["a", "b*", "3"])
    assert (args.input_shape, args.ranks, args.epochs, args.batch_size) == ((28, 28, 1), 3, 5, 64)
    assert (args.test_fraction, args.delimiter, args.memory_per_task) == (0.1, "\t", "1g")


def test_how_files_are_read(tmp_path):
    types = tmp_path / "types.json"
    types.write_text('{"zip": "text", "price*": "number"}')
    said = ["--types", str(types), "--text", "id", "--encoding", "latin-1", "--comment", "#"]
    args = parser("train_ensemble").parse_args([*TRAIN, *said, "--missing", "NA", "-"])
    assert reading(args) == {
        "format": None,
        "header": None,
        "delimiter": None,
        "encoding": "latin-1",
        "comment": "#",
        "decimal": None,
        "types": {"zip": "text", "price*": "number"},
        "text": ["id"],
        "missing": ["NA", "-"],
    }
    types.write_text('{"zip": "string"}')
    with pytest.raises(UsageError, match="number, boolean, text"):
        parser("profile").parse_args(["--input", "a", "--output", "b", "--types", str(types)])
    rest = parser("score").parse_args(["--model", "m", "--input", "i", "--output", "o"])
    assert "types" not in reading(rest)


@pytest.mark.parametrize(
    ("job", "options", "words"),
    [
        ("train_ensemble", ["--members", "0"], "whole number >= 1. Got '0'"),
        ("train_ensemble", ["--members", "two"], "whole number >= 1"),
        ("train_ensemble", ["--memebers", "3"], "Did you mean '--members'"),
        ("train_ensemble", ["--test-fraction", "1"], "between 0 and 1"),
        ("train_ensemble", ["--test-fraction", "0"], "between 0 and 1"),
        ("train_ensemble", ["--test", "t.csv", "--test-fraction", "0.2"], "not allowed with"),
        ("train_ensemble", ["--shards", "2", "--memory-per-task", "1g"], "not allowed with"),
        ("train_ensemble", ["--overwrite", "--resume"], "not allowed with"),
        ("train_ensemble", ["--memory-per-task", "lots"], "a size such as 512m"),
        ("train_ensemble", ["--estimator-params", "{max_depth: 3}"], "JSON object"),
        ("train_ensemble", ["--estimator-params", "[1]"], "JSON object"),
        ("train_ensemble", ["--method", "boosting"], "invalid choice"),
        ("train_ensemble", ["--format", "xlsx"], "invalid choice"),
        ("train_ensemble", ["--max-samples", "1.5"], "must be a share such as 0.5"),
        ("train_ensemble", ["--seed", "-1"], ">= 0"),
        ("train_ensemble", ["--delimiter", "::"], "one character"),
        ("train_ensemble", ["--decimal", "'"], "invalid choice"),
        ("train_ensemble", ["--types", "no such file"], "must be a JSON file"),
        ("train_deep", ["--input-shape", "28,a"], "such as 28,28,1"),
        ("train_deep", ["--ranks", "0"], ">= 1"),
    ],
)
def test_wrong_command_lines(job, options, words):
    with pytest.raises(UsageError) as caught:
        parser(job).parse_args([*TRAIN, *options])
    assert words in caught.value.message
    assert f"{job}.py --help" in caught.value.hint


@pytest.mark.parametrize(
    "job", ["train_ensemble", "train_deep", "train_xgboost", "fit_kernel", "score"]
)
def test_what_is_required(job):
    with pytest.raises(UsageError, match="required"):
        parser(job).parse_args([])


@pytest.mark.parametrize(
    "job", ["train_ensemble", "train_deep", "train_xgboost", "fit_kernel", "score"]
)
def test_help_tells_examples_and_statuses(job, capsys):
    with pytest.raises(SystemExit) as caught:
        parser(job).parse_args(["--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    assert "examples:" in text
    assert "14 input/output" in " ".join(text.split())
    assert max(map(len, text.splitlines())) <= 110
