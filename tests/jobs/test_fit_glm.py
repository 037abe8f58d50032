"""The options of `fit_glm`, and the job itself on the example of R's ``glm``."""

from __future__ import annotations

import pytest

from sparkml_dist import GeneralizedLinearModel, LinearRegression, LogisticRegression, load_model
from sparkml_dist.cli import linear_models
from sparkml_dist.cli.linear_models import add_linear_options, linear_estimator, linear_params
from sparkml_dist.cli.options import JobParser
from sparkml_dist.errors import UsageError
from tests.jobs.test_jobs import submit
from tests.statistics import oracles


def parsed(*options):
    parser = JobParser("fit_glm", "Fits.")
    parser.add_argument("--key")
    add_linear_options(parser)
    return parser.parse_args(list(map(str, options)))


def test_each_option_sets_a_param_that_there_is():
    known = {p.name for p in GeneralizedLinearModel().params}
    assert {*linear_models._PARAMS.values(), *linear_models._GLM_PARAMS.values()} <= known
    others = {"family", "robust", "key"}
    assert set(vars(parsed())) - others == {*linear_models._PARAMS, *linear_models._GLM_PARAMS}
    assert linear_params(parsed()) == {}


def test_options_become_an_estimator():
    assert isinstance(linear_estimator(parsed()), LinearRegression)
    assert isinstance(linear_estimator(parsed("--family", "binomial")), LogisticRegression)
    probit = linear_estimator(parsed("--family", "binomial", "--link", "probit"))
    assert isinstance(probit, GeneralizedLinearModel)
    assert probit.getLink() == "probit"
    counts = linear_estimator(
        parsed("--family", "negative-binomial", "--offset", "t", "--robust", "hc3")
    )
    assert counts.getFamily() == "negative_binomial"
    assert (counts.getOffsetCol(), counts.getCovType()) == ("t", "HC3")
    net = linear_estimator(parsed("--alphas", 1, 0.1, "--l1-ratio", 1, "--no-intercept"))
    assert (net.getAlphas(), net.getFitIntercept()) == ([1.0, 0.1], False)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--overdispersion", 1), "no effect"),
        (("--link-power", 2), "no effect"),
        (("--family", "multinomial", "--offset", "t"), "neither"),
        (("--robust", "cluster"), "needs --key"),
        (("--folds", 3), "needs --alphas"),
    ],
)
def test_options_without_an_effect(options, words):
    with pytest.raises(UsageError, match=words):
        linear_params(parsed(*options))


@pytest.mark.long
def test_the_job(tmp_path):
    rows = zip(oracles.OUTCOME + 1, oracles.TREATMENT + 1, oracles.COUNTS, strict=True)
    lines = ["outcome,treatment,counts", *(f"{o},{t},{c:g}" for o, t, c in rows)]
    (tmp_path / "dobson.csv").write_text("\n".join(lines) + "\n")
    out = tmp_path / "out"
    done = submit(
        "fit_glm",
        *("--train", tmp_path / "dobson.csv", "--output", out, "--label", "counts"),
        *("--categorical", "outcome", "treatment", "--family", "poisson", "--shards", 2),
    )
    assert done.status == 0, done.stderr[-2000:]
    document = done.document
    found = document["coefficients"]
    assert list(found)[:2] == ["(intercept)", "outcome=2"]
    assert found["(intercept)"] == pytest.approx(3.04452244, rel=1e-8)
    assert found["outcome=3"] == pytest.approx(-0.292987125, rel=1e-8)
    assert document["standard_errors"]["(intercept)"] == pytest.approx(0.17089865, rel=5e-8)
    assert document["deviance"] == pytest.approx(5.12914108, rel=1e-9)
    assert document["aic"] == pytest.approx(56.761320, rel=5e-8)
    assert document["converged"]
    assert (out / "plots" / "coefficients.png").exists()
    model = load_model(str(out / "model"))
    assert model.coefficients == found
    failed = submit(
        "fit_glm",
        *("--train", tmp_path / "dobson.csv", "--output", tmp_path / "o2", "--label", "counts"),
        *("--family", "binomial"),
    )
    assert failed.status == 11
    assert "target_not_of_family" in failed.errors[0]
