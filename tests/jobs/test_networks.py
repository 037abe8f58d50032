"""The options of `train_deep`: each reaches its Param, and what cannot work is told at once."""

from __future__ import annotations

import pytest

from sparkml_dist import (
    DeepEnsembleClassifier,
    KerasClassifier,
    KerasEstimator,
    KerasRegressor,
)
from sparkml_dist.cli import networks
from sparkml_dist.cli.network_options import add_network_options
from sparkml_dist.cli.networks import (
    check_network_options,
    network_estimator,
    network_params,
)
from sparkml_dist.cli.options import JobParser
from sparkml_dist.errors import UsageError


def parsed(*options):
    parser = JobParser("train_deep", "Trains.")
    add_network_options(parser)
    return parser.parse_args(list(map(str, options)))


def test_each_option_sets_a_param_that_there_is():
    known = {p.name for p in KerasClassifier().params}
    assert set(networks._PARAMS.values()) <= known
    declared = set(vars(parsed())) - {"regression", "input_shape", "members", "targets"}
    assert declared == set(networks._PARAMS)


def test_nothing_is_set_that_was_not_asked_for():
    assert network_params(parsed()) == {"builder": "mlp", "numRanks": 2, "epochs": 10}


def test_options_become_an_estimator():
    args = parsed(
        *("--model", "cnn", "--input-shape", "8,8,1", "--validation-fraction", 0.2),
        *("--patience", 3, "--stop-metric", "val_accuracy", "--tol", 0.01, "--tensorboard"),
        *("--class-weight", '{"3": 2}', "--checkpoint-every", 50, "--max-restarts", 1),
        *("--learning-rate-scaling", "sqrt", "--warmup-epochs", 1.5, "--clip-norm", 1),
        *("--accumulate", 2, "--mixed-precision", "bfloat16", "--compression", "fp16"),
    )
    check_network_options(args)
    network = KerasClassifier(**network_params(args))
    assert network.getInputShape() == [8, 8, 1]
    assert network.getClassWeight() == {"3": 2}
    assert (network.getPatience(), network.getStopMetric()) == (3, "val_accuracy")
    assert (network.getAccumulationSteps(), network.getMixedPrecision()) == (2, "bfloat16")
    args = parsed("--regression", "--inputs", '{"a": ["x", "y"]}', "--no-restore-best")
    check_network_options(args)
    assert KerasRegressor(**network_params(args)).getInputs() == {"a": ["x", "y"]}


def test_options_choose_the_kind_of_network():
    assert type(network_estimator(parsed())) is KerasClassifier
    assert type(network_estimator(parsed("--regression"))) is KerasRegressor
    several = network_estimator(parsed("--members", 3), seed=5)
    assert type(several) is DeepEnsembleClassifier
    assert (several.getNumMembers(), several.getNumRanks(), several.getSeed()) == (3, 1, 5)
    own = ("--model", "nets.py:towers", "--targets")
    any_kind = network_estimator(parsed(*own, '{"rating": "stars"}', "--regression"))
    assert type(any_kind) is KerasEstimator
    assert any_kind.getTargets() == {"rating": "stars"}
    assert (any_kind.getTask(), any_kind.getNumRanks()) == ("regression", 2)
    args = parsed(*own, "a,b*", "--transport", "horovod", "--stall-timeout", 9)
    check_network_options(args)
    any_kind = network_estimator(args)
    assert any_kind.getTargets() == ["a", "b*"]
    assert (any_kind.getTask(), any_kind.getTransport()) == ("classification", "horovod")
    assert any_kind.getStallTimeout() == 9


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--members", "2", "--regression"], "is for classification"),
        (["--members", "2", "--targets", "a", "--model", "n.py:f"], "leave out --targets"),
        (["--targets", "a"], "network of your own"),
        (["--targets", '{"a": '], "must be a JSON object"),
        (["--regression", "--class-weight", "balanced"], "is for classification"),
        (["--inputs", '{"a": "x"}', "--input-shape", "3"], "is for a single input"),
        (["--patience", "2", "--stop-metric", "val_loss"], "needs --validation-fraction"),
        (["--tol", "0.1"], "needs --patience or --restore-best"),
        (["--class-weight", "even"], "must be balanced or a JSON object"),
        (["--validation-fraction", "1"], "between 0 and 1"),
        (["--mixed-precision", "fp8"], "invalid choice"),
        (["--accumulate", "0"], ">= 1"),
    ],
)
def test_what_cannot_work_is_told_at_once(options, words):
    with pytest.raises(UsageError) as caught:
        check_network_options(parsed(*options))
    assert words in caught.value.message
