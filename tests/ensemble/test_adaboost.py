"""AdaBoost against scikit-learn's on the same rows, and against its own promises."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest
from sklearn import ensemble
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_digits, load_iris
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier, NearestCentroid
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import PartitionedDataset, load_model, partition
from sparkml_dist.dataset.block import Block
from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.ensemble.adaboost.adaboost import AdaBoostClassifier
from sparkml_dist.ensemble.adaboost.samme import (
    boosted,
    normalised,
    round_result,
    samme_probabilities,
)
from sparkml_dist.ensemble.adaboost.shard_weights import ShardPass
from sparkml_dist.ensemble.adaboost.weighted_sample import Candidates
from sparkml_dist.ensemble.score_curve import ScoreCurve
from sparkml_dist.errors import ConfigurationError, DataError, SparkMLDistError, TrainingError
from sparkml_dist.learners.learner import Traits
from sparkml_dist.members.sampling import member_seed
from sparkml_dist.members.weighted_rows import weighted_rows
from sparkml_dist.metrics.scores import score_rows
from tests.long import cases

STUMP = DecisionTreeClassifier(max_depth=1)
TREE = DecisionTreeClassifier(max_depth=4)
SETS = {"iris": load_iris, "digits": load_digits, "breast_cancer": load_breast_cancer}


class MemberSeeds(np.random.RandomState):
    """Gives scikit-learn's boosting the random states that members have here."""

    def __init__(self, seed):
        super().__init__(0)
        self.at, self.start = 0, seed

    def randint(self, *_args, **_kwargs):
        self.at += 1
        return member_seed(self.start, self.at - 1)


def in_ram(learner, block, *, members=50, rate=1.0, seed=0, weight=None):
    boosting = ensemble.AdaBoostClassifier(
        clone(learner), n_estimators=members, learning_rate=rate, random_state=MemberSeeds(seed)
    )
    return boosting.fit(block.X, block.y, sample_weight=weight)


@pytest.fixture(scope="module")
def frames(spark):
    found = {}
    for name, load in SETS.items():
        frame = load(as_frame=True).frame.rename(columns={"target": "label"})
        found[name] = spark.createDataFrame(frame)
    return found


@pytest.fixture(scope="module")
def cuts(frames, tmp_path_factory):
    home = tmp_path_factory.mktemp("cuts")

    class Cuts(dict[tuple[str, int], PartitionedDataset]):
        def __missing__(self, key):
            name, n = key
            cut = partition(frames[name], home / f"{name}-{n}", label="label", shards=n)
            return self.setdefault(key, cut)

    return Cuts()


def fitted(data, **settings):
    return AdaBoostClassifier(**{"estimator": STUMP, **settings}).fit(data)


def whole(data):
    return data.read_block(range(len(data.shards)))


def predict(model, X):
    return model._scorer().load()(X)


@pytest.mark.parametrize(
    ("name", "shards", "learner", "rate"),
    [
        pytest.param("iris", 1, STUMP, 1.0, marks=pytest.mark.long),
        pytest.param("digits", 1, STUMP, 0.5, marks=pytest.mark.long),
        pytest.param("digits", 3, TREE, 1.0, marks=pytest.mark.long),
        ("breast_cancer", 3, STUMP, 1.0),
        pytest.param(
            *("digits", 3, DecisionTreeClassifier(max_depth=5, max_features=8), 0.7),
            marks=pytest.mark.long,
        ),
    ],
)
def test_is_scikit_learns_however_many_shards(cuts, name, shards, learner, rate):
    data = cuts[name, shards]
    model = fitted(data, estimator=learner, numMembers=10, learningRate=rate, seed=5)
    block = whole(data)
    plain = in_ram(learner, block, members=10, rate=rate, seed=5)
    n = len(plain.estimators_)
    assert model.numMembers == n
    assert model.estimatorWeights == plain.estimator_weights_[:n].tolist()
    assert model.estimatorErrors == plain.estimator_errors_[:n].tolist()
    assert np.allclose(predict(model, block.X), plain.predict_proba(block.X), rtol=0, atol=1e-12)
    staged = list(plain.staged_score(block.X, block.y))
    ours = [(v.argmax(1) == block.y).mean() for v in model._scorer().load_staged()(block.X)]
    assert ours == pytest.approx(staged)


@pytest.mark.modes("local-cluster")
def test_end_to_end(spark, tmp_path):
    """In every mode: cut, boost, save, load, score; the sampled path too."""
    frame = spark.createDataFrame(load_iris(as_frame=True).frame.round(3))
    common = {"estimator": STUMP, "labelCol": "target", "numShards": 2, "numMembers": 4}
    model = AdaBoostClassifier(**common, modelDir=str(tmp_path / "m")).fit(frame)
    found = load_model(str(tmp_path / "m"))
    assert found.estimatorWeights == model.estimatorWeights
    assert found.estimatorErrors == model.estimatorErrors
    rows = found.transform(frame).select("target", "prediction", "probability").collect()
    right = np.mean([r[0] == r[1] for r in rows])
    assert right > 0.9
    assert found.stagedAccuracy(frame)[-1] == pytest.approx(right)
    assert all(abs(sum(r[2]) - 1) < 1e-6 for r in rows)
    sampled = AdaBoostClassifier(
        **common, maxSamples=100, modelDir=str(tmp_path / "s"), stopMetric="accuracy"
    ).fit(frame)
    assert sampled.stagedAccuracy(frame)[-1] > 0.85
    saved = str(tmp_path / "copy")
    sampled.save(saved)
    assert load_model(saved).stagedAccuracy(frame) == sampled.stagedAccuracy(frame)


def test_a_perfect_member_ends_it(cuts):
    data = cuts["iris", 1]
    model = fitted(data, estimator=DecisionTreeClassifier(), numMembers=9)
    assert (model.numMembers, model.estimatorWeights, model.estimatorErrors) == (1, [1.0], [0.0])
    assert model.summary["stop"] == "perfect"
    block = whole(data)
    plain = in_ram(DecisionTreeClassifier(), block, members=9)
    assert np.allclose(predict(model, block.X), plain.predict_proba(block.X))


@pytest.mark.long
def test_a_learner_no_better_than_chance(spark, cuts, tmp_path):
    with pytest.raises(TrainingError, match="no better than chance") as error:
        fitted(cuts["digits", 3], estimator=DummyClassifier(strategy="constant", constant=8))
    assert error.value.code == "worse_than_chance"
    # Half of the rows of xor are right at first; then a stump is lost, and is left out.
    frame = pd.DataFrame({"a": [0, 0, 1, 1] * 8, "b": [0, 1, 0, 1] * 8, "label": [0, 1, 1, 1] * 8})
    data = partition(spark.createDataFrame(frame), tmp_path / "x", label="label", shards=1)
    dummy = DummyClassifier(strategy="most_frequent")
    for settings in ({}, {"maxSamples": 20}):
        model = fitted(data, estimator=dummy, **settings)
        assert model.summary["stop"] == "chance"
        assert model.numMembers == 1
    plain = in_ram(dummy, whole(data))
    assert len(plain.estimators_) == 1
    assert model.estimatorErrors == [pytest.approx(plain.estimator_errors_[0])]


def test_weights_are_repetition(spark, frames, tmp_path):
    frame = frames["iris"].toPandas()
    frame["w"] = np.random.default_rng(0).integers(0, 4, len(frame))
    weighted = partition(
        spark.createDataFrame(frame), tmp_path / "w", label="label", weight="w", shards=2
    )
    repeated = partition(
        spark.createDataFrame(frame.loc[frame.index.repeat(frame.w)].drop(columns="w")),
        tmp_path / "r",
        label="label",
        shards=2,
    )
    X = whole(weighted).X
    models = [fitted(data, numMembers=8) for data in (weighted, repeated)]
    assert models[0].estimatorErrors == pytest.approx(models[1].estimatorErrors)
    assert np.allclose(*[predict(m, X) for m in models], atol=1e-9)
    block = whole(weighted)
    plain = in_ram(STUMP, block, members=8, weight=block.weight)
    assert models[0].estimatorErrors == plain.estimator_errors_.tolist()


@pytest.mark.long
def test_samples_are_nearly_as_good(cuts):
    data = cuts["digits", 3]
    block = whole(data)
    settings = {"estimator": TREE, "numMembers": 12, "stopMetric": "accuracy", "patience": 30}
    kept = Validation(0.1, 0).mask(block.key)
    scores = {}
    for rows in (None, 900):
        model = fitted(data, **settings, maxSamples=rows)
        right = predict(model, block.X[kept]).argmax(1) == block.y[kept]
        scores[rows] = right.mean()
    assert model.summary["sample_rows"] == 900
    bags = [m["bag_rows"] for m in model.summary["members"]]
    assert max(bags) <= 901
    assert not model.folder.exists("state")
    assert scores[None] > 0.9
    assert scores[900] > scores[None] - 0.04


@pytest.mark.long
def test_samples_may_be_a_share(cuts):
    data = cuts["iris", 1]
    share, count = (
        fitted(data, estimator=TREE, numMembers=2, maxSamples=n) for n in (0.5, data.n_rows // 2)
    )
    assert share.summary["sample_rows"] == count.summary["sample_rows"] == data.n_rows // 2
    files = [{f.sha256 for f in m.files if f.name.endswith(".skops")} for m in (share, count)]
    assert files[0] == files[1]


@pytest.mark.long
def test_row_weights_are_exact_beside_samples(cuts, tmp_path):
    """What passes over shards add up is what one array of all rows would tell."""
    data = cuts["digits", 3]
    model = fitted(data, estimator=TREE, numMembers=6, maxSamples=400)
    block = whole(data)
    weight = np.ones(len(block))
    for m, learner in enumerate(model._bank().load().learners):
        weight = normalised(weight, weight.sum())
        missed = learner.predict(block.X) != block.y
        now = round_result(m, (missed * weight).sum(), weight.sum(), 10, 1.0)
        assert model.estimatorErrors[m] == pytest.approx(now.error, abs=1e-13)
        assert model.estimatorWeights[m] == pytest.approx(now.weight, abs=1e-12)
        weight = boosted(weight, now.weight, missed)


def test_memory_decides_whether_members_see_all_rows(cuts):
    data = cuts["digits", 3]
    row = 64 * 4 * 3 + 48
    whole_, part = (
        fitted(data, numMembers=1, memoryPerTask=str(data.n_rows * row + extra))
        for extra in (0, -1)
    )
    assert whole_.summary["sample_rows"] is None
    assert part.summary["sample_rows"] == data.n_rows - 1


def test_samples_stand_for_their_shard():
    """Expected sums are the shard's, for any weight of the last member."""
    rng = np.random.default_rng(0)
    n, draws = 400, 300
    weight = rng.exponential(size=n) ** 3
    weight[:20] = 0
    missed = rng.random(n) < 0.3
    block = Block(np.arange(n, dtype=np.float32)[:, None], np.zeros(n, int), None, np.arange(n))
    for say in (0.0, 2.0):
        true = boosted(weight, say, missed)
        sums = np.zeros(2)
        for index in range(draws):
            sample = Candidates.of(block, weight, missed, 60, 7, index).drawn(60, say)
            assert len(sample.y) == 60
            assert len(set(sample.key)) == 60
            assert (true[sample.key] > 0).all()
            sums += sample.weight.sum(), sample.weight[missed[sample.key]].sum()
        expected = [true.sum(), true[missed].sum()]
        assert sums / draws == pytest.approx(expected, rel=0.03)


@pytest.mark.long
def test_sparse_rows_and_rows_by_weight(spark, tmp_path):
    frame = spark.range(600).selectExpr(
        "named_struct('size', 50, 'indices', array(int(id % 3) * 7, 20 + int(id % 25)),"
        " 'values', array(1f, 1f)) AS features",
        "IF(id % 3 = 0, 'a', IF(id % 3 = 1, 'b', 'c')) AS label",
    )
    data = partition(frame, tmp_path / "d", label="label", shards=2)
    block = whole(data)
    for learner in (STUMP, NearestCentroid()):
        models = [
            fitted(data, estimator=learner, numMembers=4, maxSamples=rows) for rows in (None, 300)
        ]
        for model in models:
            assert (predict(model, block.X).argmax(1) == block.y).mean() > 0.85
    plain = in_ram(STUMP, block, members=4)
    assert np.allclose(
        predict(fitted(data, numMembers=4), block.X),
        plain.predict_proba(block.X),
        atol=1e-12,
    )


def test_a_learner_without_weights_gets_rows_by_weight(cuts):
    traits = Traits.of(KNeighborsClassifier())
    n = 5000
    weight = np.where(np.arange(n) % 2, 3.0, 1.0)
    weight[:100] = 0.0
    key = np.arange(n)
    X, y, none, _ = weighted_rows(key[:, None], key % 7, weight, key, traits, 1, 2)
    assert none is None
    counts = np.bincount(X[:, 0], minlength=n)
    assert np.array_equal(y, X[:, 0] % 7)
    assert counts[:100].sum() == 0
    assert set(counts[101::2]) == {1, 2}  # of rate 1.5
    assert set(counts[100::2]) == {0, 1}  # of rate 0.5
    assert len(X) == pytest.approx(4900, rel=0.02)
    # A learner that knows every row that it has seen misses none.
    model = fitted(cuts["digits", 1], estimator=KNeighborsClassifier(1), numMembers=5)
    assert model.summary["stop"] == "perfect"


@pytest.mark.long
@pytest.mark.parametrize("rows", [None, 600], ids=["all rows", "samples"])
def test_it_ends_when_the_score_no_longer_improves(cuts, rows):
    data = cuts["digits", 3]
    model = fitted(
        data, estimator=TREE, numMembers=60, stopMetric="accuracy", tol=0.02, patience=2,
        maxSamples=rows,
    )  # fmt: skip
    curve = model.summary["curve"]
    assert curve["stopped"]
    assert 2 < len(curve["scores"]) < 60
    assert model.numMembers == curve["best"] == np.argmax(curve["scores"]) + 1
    kept = Validation(0.1, 0)
    blocks = [whole(data)] if rows is None else [data.read_block(s) for s in range(3)]
    scores, weights = [], []
    for block in blocks:
        mask = kept.mask(block.key)
        proba = predict(model, block.X[mask])
        scores.append(score_rows("accuracy", block.y[mask], proba))
        weights.append(mask.sum())
    assert np.average(scores, weights=weights) == pytest.approx(max(curve["scores"]))


@pytest.mark.long
@pytest.mark.parametrize("metric", cases(["auc", "log_loss"], ["log_loss"]))
def test_other_scores(cuts, metric):
    data = cuts["breast_cancer", 3]
    curves = [
        fitted(data, numMembers=5, stopMetric=metric, maxSamples=rows).summary["curve"]
        for rows in (None, 560)
    ]
    assert [len(c["scores"]) for c in curves] == [5, 5]
    assert curves[0]["scores"] == pytest.approx(curves[1]["scores"], abs=0.05)


class TestResume:
    """A fit that is run again does only what is missing, and ends with the same model."""

    settings = {  # noqa: RUF012
        "estimator": TREE, "numMembers": 6, "seed": 3, "stopMetric": "accuracy", "patience": 9,
    }  # fmt: skip

    @pytest.mark.long
    @pytest.mark.parametrize("rows", [None, 500], ids=["all rows", "samples"])
    def test_only_missing_rounds_are_fitted(self, cuts, tmp_path, rows):
        data, folder = cuts["digits", 3], tmp_path / "m"
        settings = self.settings | {"modelDir": str(folder), "maxSamples": rows}
        first = AdaBoostClassifier(**settings).fit(data)
        assert first.summary["fitted_now"] == 6
        (folder / "manifest.json").unlink()
        for t in (4, 5):
            (folder / "members" / f"member-{t:05d}.json").unlink()
            (folder / "rounds" / f"round-{t:05d}.json").unlink(missing_ok=True)
            (folder / "passes" / f"pass-{t + 1:05d}.json").unlink(missing_ok=True)
        (folder / "passes" / "pass-00007.json").unlink(missing_ok=True)
        again = AdaBoostClassifier(**settings, resume=True).fit(data)
        assert again.summary["fitted_now"] == 2
        assert again.content == first.content
        assert again.summary["curve"] == first.summary["curve"]
        third = AdaBoostClassifier(**settings, resume=True).fit(data)
        assert third.summary["fitted_now"] == 0
        assert third.content == first.content

    def test_a_pass_that_is_run_again_finds_its_state_or_comes_to_it(self, cuts, tmp_path, spark):
        """A task may be repeated, and a driver may die between any two jobs."""
        from sparkml_dist.ensemble.adaboost.sampled import SampledBoosting

        data, folder = cuts["digits", 3], tmp_path / "m"
        estimator = AdaBoostClassifier(**self.settings, maxSamples=500, modelDir=str(folder))
        whole_fit = estimator.fit(data)
        shutil.rmtree(folder)

        class DiedError(Exception):
            pass

        def dies(self, version, **kwargs):
            if version == 4:
                raise DiedError
            return done(self, version, **kwargs)

        done = SampledBoosting._pass
        SampledBoosting._pass = dies
        try:
            with pytest.raises(DiedError):
                estimator.fit(data)
        finally:
            SampledBoosting._pass = done
        states = sorted(p.name for p in (folder / "state").iterdir())
        assert states == ["00002", "00003"]
        # Of the last state one shard is lost, of the one before another.
        for version, shard in ((3, 0), (2, 1)):
            for file in (folder / "state" / f"{version:05d}").glob(f"shard-{shard:05d}*"):
                file.unlink()
        again = estimator.copy().setParams(resume=True).fit(data)
        assert again.content == whole_fit.content
        assert again.summary["fitted_now"] == 2
        job = estimator._job(spark, data, whole_fit.folder, estimator._stopping())
        one = ShardPass(job, 0, (), (), (5, 5, 5))(1)
        assert ShardPass(job, 0, (), (), (5, 5, 5))(1) == one

    def test_another_plan_is_refused(self, cuts, tmp_path):
        settings = {"estimator": STUMP, "numMembers": 1, "modelDir": str(tmp_path / "m")}
        AdaBoostClassifier(**settings).fit(cuts["iris", 1])
        with pytest.raises(ConfigurationError, match="maxSamples: None before, 50 now"):
            AdaBoostClassifier(**settings, maxSamples=50, resume=True).fit(cuts["iris", 1])


@pytest.mark.long
def test_a_class_that_a_sample_lacks_is_no_trouble(spark, tmp_path):
    rng = np.random.default_rng(0)
    y = np.array([0] * 300 + [1] * 300 + [2] * 3)
    X = rng.normal(size=(603, 2)) + np.array([0, 4, -6])[y][:, None]
    frame = pd.DataFrame({"a": X[:, 0], "b": X[:, 1], "label": y})
    data = partition(spark.createDataFrame(frame), tmp_path / "d", label="label", shards=3)
    model = fitted(data, estimator=DecisionTreeClassifier(max_depth=2), maxSamples=30, numMembers=8)
    block = whole(data)
    assert predict(model, block.X).shape == (603, 3)
    assert (predict(model, block.X).argmax(1) == block.y).mean() > 0.95


def test_a_learner_that_fails_names_its_member(cuts):
    learner = KNeighborsClassifier(metric="haversine")
    with pytest.raises(TrainingError, match=r"Member 0 on shard\(s\) 0, 1, 2 failed: ValueError"):
        fitted(cuts["digits", 3], estimator=learner)


def test_held_out_rows_must_be_there(cuts):
    with pytest.raises(DataError, match="No row is held out"):
        fitted(cuts["iris", 1], stopMetric="auc", validationFraction=1e-9)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"estimator": None}, "no_estimator"),
        ({"numMembers": 0}, "invalid_param"),
        ({"learningRate": 0.0}, "invalid_param"),
        ({"maxSamples": 0}, "invalid_param"),
        ({"stopMetric": "rmse"}, "invalid_param"),
        ({"stopMetric": "auc", "validationFraction": 1.0}, "invalid_param"),
        ({"patience": 0}, "invalid_param"),
        ({"memoryPerTask": "much"}, "invalid_param"),
        ({"rounds": 3}, "unknown_param"),
    ],
)
def test_settings_are_checked(settings, code, cuts):
    with pytest.raises(SparkMLDistError) as caught:
        fitted(cuts["iris", 1], **settings)
    assert caught.value.code == code


def test_the_curve_knows_its_best():
    curve = ScoreCurve("log_loss", tol=0.1, patience=2)
    assert [curve.add(s) for s in (1.0, 0.95, 0.8, 0.75, 0.79)] == [False] * 4 + [True]
    assert curve.best == 4
    assert ScoreCurve("auc", 0.0, 1).best == 0


def test_probabilities_of_one_class():
    assert samme_probabilities(np.full((3, 1), 2.0)).tolist() == [[1.0]] * 3


def test_the_estimator_is_saved_and_loaded(tmp_path, spark):
    AdaBoostClassifier(estimator=TREE, learningRate=0.3).save(str(tmp_path / "e"))
    found = AdaBoostClassifier.load(str(tmp_path / "e"))
    assert found.getLearningRate() == 0.3
    assert found.getEstimator().get_params() == TREE.get_params()
