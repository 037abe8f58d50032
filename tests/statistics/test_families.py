"""Families and links: the likelihood equations hold, weights count as rows, bits do not change."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special, stats

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.statistics.families import FAMILIES, Family, family_of
from tests.long import cases
from tests.statistics.oracles import errors, fit

rng = np.random.default_rng(7)
ROWS = 300
X = rng.normal(size=(ROWS, 2)) * [0.4, 1.0] + [2.0, 0.0]
ETA = 0.3 * X @ [1.0, -0.5] + 0.2
OFFSET = 0.1 * rng.normal(size=ROWS)
WEIGHT = rng.integers(1, 4, ROWS).astype(float)
MEAN = np.exp(ETA)
TARGETS = {
    "gaussian": MEAN + 0.3 * rng.normal(size=ROWS),
    "binomial": (rng.random(ROWS) < 1 / (1 + MEAN)).astype(float),
    "poisson": rng.poisson(MEAN).astype(float),
    "gamma": rng.gamma(3.0, MEAN / 3),
    "negative_binomial": rng.negative_binomial(2, 2 / (2 + MEAN)).astype(float),
    "tweedie": np.where(rng.random(ROWS) < 0.3, 0.0, rng.gamma(3.0, MEAN / 3)),
}
# Links that keep the means of these rows in range.
FITTED = [
    (name, link)
    for name, links in FAMILIES.items()
    for link in links
    if (name, link) not in [("binomial", "log"), ("tweedie", "inverse_squared")] and link != "power"
]
CORE = [(name, links[0]) for name, links in FAMILIES.items()] + [("binomial", "cloglog")]


@pytest.mark.parametrize(("name", "link"), cases(FITTED, CORE))
def test_likelihood_equations_and_repeated_rows(name, link):
    y = np.maximum(TARGETS[name], 0.05) if name in ("gaussian", "gamma") else TARGETS[name]
    both = np.column_stack([X, OFFSET])
    given = {"names": ["a", "b", "off"], "offset": "off", "overdispersion": 0.5}
    found = fit(both, y, name, link, weight=WEIGHT, shards=4, **given)
    family, beta = family_of(name, link, overdispersion=0.5), found["coefficients"]
    D = np.column_stack([np.ones(ROWS), X])
    eta = D @ beta + OFFSET
    mu = family.link.mean(eta)
    slope = family.link.slope(eta, mu)
    score = D.T @ (WEIGHT * (y - mu) * slope / family.variance(mu))
    working = WEIGHT * slope**2 / family.variance(mu)
    gram = D.T @ (working[:, None] * D)
    # In standard errors: where the likelihood is flat in all directions.
    assert np.sqrt(score @ np.linalg.solve(gram, score)) < 1e-6
    free = WEIGHT.sum() - 3
    spread = (WEIGHT @ ((y - mu) ** 2 / family.variance(mu))) / free
    spread = spread if family.estimates_dispersion else 1.0
    assert errors(found) == pytest.approx(np.sqrt(np.diag(np.linalg.inv(gram) * spread)), rel=1e-6)
    times = WEIGHT.astype(int)
    again = fit(np.repeat(both, times, axis=0), np.repeat(y, times), name, link, shards=2, **given)
    assert again["coefficients"] == pytest.approx(beta, rel=1e-6, abs=1e-8)
    assert errors(again) == pytest.approx(errors(found), rel=1e-6)
    if found["log_likelihood"] is not None:
        assert again["log_likelihood"] == pytest.approx(found["log_likelihood"], rel=1e-9)


def test_log_likelihoods_are_those_of_scipy():
    y, mu = np.array([0.5, 2.0, 7.0]), np.array([1.0, 1.5, 5.0])
    one = family_of("gaussian").log_likelihood(y, mu, 2.0)
    assert one == pytest.approx(stats.norm.logpdf(y, mu, np.sqrt(2.0)))
    one = family_of("gamma").log_likelihood(y, mu, 0.5)
    assert one == pytest.approx(stats.gamma.logpdf(y, 2.0, scale=mu / 2.0))
    y = np.array([0.0, 2.0, 7.0])
    assert family_of("poisson").log_likelihood(y, mu, 1.0) == pytest.approx(
        stats.poisson.logpmf(y, mu)
    )
    one = family_of("negative_binomial", overdispersion=0.5).log_likelihood(y, mu, 1.0)
    assert one == pytest.approx(stats.nbinom.logpmf(y, 2.0, 2.0 / (2.0 + mu)))


@pytest.mark.parametrize("link", [link for links in FAMILIES.values() for link in links])
def test_links_are_inverses_with_their_slopes(link):
    found = family_of(next(n for n, links in FAMILIES.items() if link in links), link).link
    mean = np.array([0.2, 0.5, 0.8])
    eta = found.predictor(mean)
    assert found.mean(eta) == pytest.approx(mean, rel=1e-12)
    step = 1e-6
    slope = (found.mean(eta + step) - found.mean(eta - step)) / (2 * step)
    assert found.slope(eta, mean) == pytest.approx(slope, rel=1e-5)


def test_tweedie_has_poisson_and_gamma_as_ends():
    y, mu = np.array([0.5, 2.0]), np.array([1.0, 1.5])
    for power, other in ((1.0, "poisson"), (2.0, "gamma"), (0.0, "gaussian")):
        one = family_of("tweedie", "log", variance_power=power).deviance(y, mu)
        assert one == pytest.approx(family_of(other, "log").deviance(y, mu))


def test_negative_binomial_estimates_its_overdispersion():
    y = TARGETS["negative_binomial"]
    found = fit(X, y, "negative_binomial", estimate_overdispersion=True)
    family = family_of("negative_binomial", overdispersion=found["overdispersion"])
    D = np.column_stack([np.ones(ROWS), X])
    mu = np.exp(D @ found["coefficients"])

    def likelihood(value: float) -> float:
        return Family("negative_binomial", family.link, value).log_likelihood(y, mu, 1.0).sum()

    best = found["overdispersion"]
    assert likelihood(best) >= max(likelihood(best * 1.01), likelihood(best / 1.01))
    assert found["log_likelihood"] == pytest.approx(likelihood(best))


def test_names_of_families_and_links():
    for wrong in ({"name": "normal"}, {"name": "poisson", "link": "square"}):
        with pytest.raises(ConfigurationError, match="must be one of"):
            family_of(**wrong)
    with pytest.raises(ConfigurationError, match="does not fit the family") as caught:
        family_of("poisson", "logit")
    assert caught.value.code == "link_not_of_family"
    with pytest.raises(ConfigurationError, match="overdispersion"):
        family_of("negative_binomial", overdispersion=0.0)
    with pytest.raises(ConfigurationError, match="variancePower"):
        family_of("tweedie", variance_power=0.5)
    assert Family.from_dict(family_of("gamma", "log").to_dict()) == family_of("gamma", "log")


@pytest.mark.parametrize("dispersion", [0.003, 0.7, 20.0])
def test_tweedie_density(dispersion):
    y, mu = np.concatenate([np.geomspace(1e-3, 300.0, 400), [0.0]]), np.full(401, 4.0)
    # For a power of 1.5 the jumps are exponential, and the series is a Bessel function.
    rate, scale = 2 * np.sqrt(mu) / dispersion, dispersion * np.sqrt(mu) / 2
    z = 2 * np.sqrt(rate * y / scale)
    with np.errstate(divide="ignore", invalid="ignore"):
        true = np.log(special.ive(1, z)) + z - rate - y / scale + np.log(rate / (scale * y)) / 2
    true[-1] = -rate[-1]
    found = family_of("tweedie", variance_power=1.5).log_likelihood(y, mu, dispersion)
    assert found == pytest.approx(true, rel=1e-9, abs=1e-9)
    # Any other density is one: its integral, with the probability of 0.
    if dispersion == 0.7:
        for power in (1.2, 1.8):
            family = family_of("tweedie", variance_power=power)
            grid = np.geomspace(1e-12, 200.0, 40_001)
            density = np.exp(family.log_likelihood(grid, np.full(grid.shape, 2.0), 0.7))
            none = np.exp(family.log_likelihood(np.zeros(1), np.full(1, 2.0), 0.7))[0]
            assert np.trapezoid(density, grid) + none == pytest.approx(1.0, abs=2e-4)
