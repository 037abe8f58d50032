"""What `test_networks` looks at, in a process with TensorFlow; prints JSON."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from dataclasses import replace
from itertools import pairwise

import numpy as np

from sparkml_dist.deep.backend.with_horovod import hvd, keras, tf
from sparkml_dist.deep.train.coupling import Coupling
from sparkml_dist.deep.train.model_check import check_loss
from sparkml_dist.reinforcement.networks.build import build_learner
from sparkml_dist.reinforcement.networks.implicit import expectile_loss
from sparkml_dist.reinforcement.networks.spec import LearnerSpec

WIDTH, ROWS = 3, 64
SPEC = LearnerSpec("dqn", 2, hidden=(16,), rate=0.01, target_update=3)
NUMBERS = replace(SPEC, n_actions=0, low=(-2.0, 0.0), high=(2.0, 1.0), target_update=0.25)


def learner(spec, seed=0):
    keras.utils.set_random_seed(seed)
    moments = (np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32))
    one = np.ones(1, np.float32)
    normalization = {"state": moments, "reward": (0 * one, one), "discount": (0.5 * one, one)}
    model = build_learner(spec, input_shape={"state": (WIDTH,)}, normalization=normalization)
    check_loss(model, x := rows(spec), dict.fromkeys(spec.terms, x["reward"]))
    model.optimizer.build(model.trainable_variables)
    return model


def rows(spec, seed=0, **more):
    rng = np.random.default_rng(seed)
    action = (
        rng.uniform(spec.low, spec.high, (ROWS, len(spec.low)))
        if spec.continuous
        else rng.integers(0, spec.n_actions, (ROWS, 1))
    )
    found = {
        "state": rng.normal(size=(ROWS, WIDTH)),
        "next_state": rng.normal(size=(ROWS, WIDTH)),
        "action": action,
        "reward": rng.normal(size=(ROWS, 1)),
        "discount": 0.9 * (rng.random((ROWS, 1)) < 0.7),
        **more,
    }
    found["next_state"][found["discount"][:, 0] == 0] = np.nan  # after an end
    whole = {"action": np.int32} if not spec.continuous else {}
    return {name: tf.constant(v.astype(whole.get(name, np.float32))) for name, v in found.items()}


def trained(spec, steps=4):
    """Return a learner after some steps of the trainer, and the targets before each of them."""
    model = learner(spec)
    coupling = Coupling(model)
    step = tf.function(coupling.train_step, autograph=False)
    history = [weights(t) for _, t in model.targets()][:1]
    for number in range(steps):
        x = rows(spec, number)
        y = dict.fromkeys(spec.terms, x["reward"])
        step((x, y, tf.ones(ROWS), tf.constant(ROWS)))
        history += [weights(t) for _, t in model.targets()][:1]
    return model, coupling, history


def weights(network):
    return np.concatenate([w.ravel() for w in network.get_weights()])


def gap(one, other):
    return float(np.abs(np.asarray(one) - np.asarray(other)).max())


def conservative():
    plain, _, _ = trained(SPEC)
    nothing, _, _ = trained(replace(SPEC, algorithm="cql", alpha=0.0))
    some, coupling, _ = trained(replace(SPEC, algorithm="cql", alpha=1.0))
    logs = coupling.epoch_logs()
    return {
        "none": gap(weights(plain), weights(nothing)),
        "some": gap(weights(plain), weights(some)),
        "logs": sorted(logs),
        "sum": logs["loss"] - logs["value_loss"] - logs["conservative_loss"],
    }


def double_target():
    """Compare the loss of DQN with targets that numpy computes from the networks' values."""
    found = {}
    available = np.tile([[1.0, 0.0]], (ROWS, 1))
    cases = {
        "double": (SPEC, {}),
        "single": (replace(SPEC, double_q=False), {}),
        "dueling": (replace(SPEC, dueling=True), {}),
        "available": (SPEC, {"next_available": available}),
    }
    for name, (spec, more) in cases.items():
        model, x = learner(spec), rows(spec, **more)
        model.target.set_weights(
            [w + 0.3 * (-1) ** i for i, w in enumerate(model.get_weights())][
                : len(model.target.get_weights())
            ]
        )
        values, after, judged = (
            np.asarray(f(v))
            for f, v in (
                (model.online, x["state"]),
                (model.target, x["next_state"]),
                (model.online, x["next_state"]),
            )
        )
        best = (judged if spec.double_q else after).argmax(axis=1)
        if more:
            best[:] = 0
        at = np.arange(ROWS)
        goal = x["reward"][:, 0] / 2 + x["discount"][:, 0] * after[at, best]
        off = np.abs(values[at, x["action"].numpy()[:, 0]] - goal)
        loss = np.where(off <= 1, off**2 / 2, off - 0.5)
        found[name] = gap(model(x)["value"].numpy()[:, 0], loss)
    return found


def implicit():
    by_hand = [0.7 * 4.0, 0.3 * 9.0, 0.0]
    loss = expectile_loss(tf.constant([2.0, -3.0, 0.0]), 0.7).numpy()
    found = {"expectile": gap(loss, by_hand)}
    for name, base in (("list", SPEC), ("numbers", NUMBERS)):
        spec = replace(base, algorithm="iql", temperature=2.0)
        model, x = learner(spec), rows(spec)
        terms = {k: v.numpy()[:, 0] for k, v in model(x).items()}
        at, action = np.arange(ROWS), x["action"].numpy()

        def q(network, model=model, x=x, name=name, at=at, action=action):
            if name == "numbers":
                return network([x["state"], x["action"]]).numpy()[:, 0]
            return network(x["state"]).numpy()[at, action[:, 0]]

        state = model.state_value(x["state"]).numpy()[:, 0]
        after = model.state_value(x["next_state"]).numpy()[:, 0]
        known = np.minimum(q(model.first_target), q(model.second_target))
        advantage = known - state
        goal = x["reward"].numpy()[:, 0] / 2 + x["discount"].numpy()[:, 0] * after
        policy = model.policy(x["state"]).numpy()
        if name == "list":
            chances = np.exp(policy) / np.exp(policy).sum(axis=1, keepdims=True)
            surprise = -np.log(chances[at, action[:, 0]])
        else:
            spread = np.exp(model.spread.numpy())
            density = np.exp(-(((action - policy) / spread) ** 2) / 2) / (
                spread * np.sqrt(2 * np.pi)
            )
            surprise = -np.log(density).sum(axis=1)
        factor = np.where(advantage > 0, 0.7, 0.3)
        wanted = {
            "state_value": factor * advantage**2,
            "value": ((q(model.first) - goal) ** 2 + (q(model.second) - goal) ** 2) / 2,
            "policy": np.minimum(np.exp(2.0 * advantage), 100) * surprise,
        }
        found[name] = max(gap(terms[k], wanted[k]) for k in wanted)
    return found


def target_networks():
    _, _, copied = trained(SPEC, steps=6)
    model, _, moved = trained(replace(SPEC, target_update=0.25), steps=1)
    online = weights(model.online)
    return {
        "changes": [gap(a, b) > 0 for a, b in pairwise(copied)],
        "moved": gap(moved[1], 0.75 * moved[0] + 0.25 * online),
        "trained": len(model.trainable_variables) == len(model.online.weights),
    }


def batch_constrained():
    spec = replace(SPEC, algorithm="bcq", threshold=0.6)
    model, x = learner(spec), rows(spec)
    logits = model.behavior(x["next_state"]).numpy()
    chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    allowed = chances >= 0.6 * chances.max(axis=1, keepdims=True)
    judged = np.where(allowed, model.online(x["next_state"]).numpy(), -np.inf)
    after = model.target(x["next_state"]).numpy()[np.arange(ROWS), judged.argmax(axis=1)]
    return {
        "refused": int((~allowed).sum()),
        "gap": gap(model._following(x).numpy()[:, 0], after),
    }


def numbers():
    """Tell what TD3+BC's policy moves, and where its actions lie."""
    spec = replace(NUMBERS, algorithm="td3bc", alpha=2.5)
    model, x = learner(spec), rows(spec)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(model(x)["policy"])
    variables = model.trainable_variables
    moved = tape.gradient(loss, [v.value for v in variables])
    by_policy = {id(v) for v in model.policy.trainable_variables}
    after, _, _ = trained(spec)
    actions = after.policy(x["state"]).numpy()
    value = model.first([x["state"], model.policy(x["state"])]).numpy()[:, 0]
    away = (model.policy(x["state"]).numpy() - x["action"].numpy()) / [2.0, 0.5]
    wanted = np.square(away).mean(axis=1) - 2.5 * value / (np.abs(value).mean() + 1e-6)
    return {
        "only_policy": all(
            (g is not None) == (id(v) in by_policy) for v, g in zip(variables, moved, strict=True)
        ),
        "inside": bool(((actions >= [-2, 0]) & (actions <= [2, 1])).all()),
        "finite": bool(np.isfinite(weights(after)).all()),
        "loss": gap(model(x)["policy"].numpy()[:, 0], wanted),
    }


def categories():
    """Compare values of states with a category with those of its indicators."""
    model = learner(replace(SPEC, categories=(0, 3, 0)))
    x = np.random.default_rng(0).normal(size=(5, WIDTH)).astype(np.float32)
    x[:, 1] = [0, 1, 2, np.nan, 1]
    codes = np.array([1, 2, 3, 0, 2])
    encoded = np.hstack([x[:, [0, 2]], np.eye(4)[codes]])
    inner, bias, outer, last = model.online.get_weights()
    by_hand = np.maximum(encoded @ inner + bias, 0) @ outer + last
    return gap(model.online(x).numpy(), by_hand)


def saved():
    """Save the predictor of every algorithm and load it as the library does."""
    import hashlib

    from sparkml_dist.deep.scoring.scorer import load_network
    from sparkml_dist.persistence.filesystem import Folder

    found = {}
    every = [replace(SPEC, algorithm=a) for a in ("dqn", "cql", "bcq", "iql", "bc")]
    every += [replace(NUMBERS, algorithm=a) for a in ("iql", "td3bc", "bc")]
    every.append(replace(SPEC, categories=(2, 0, 0)))
    for spec in every:
        model, _, _ = trained(spec, steps=1)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "model.keras")
            model.predictor.save(path)
            with open(path, "rb") as file:
                digest = hashlib.sha256(file.read()).hexdigest()
            loaded = load_network(Folder.at(folder), "model.keras", digest)
        x = rows(spec)["state"]
        pairs = zip(model.predictor(x), loaded(x), strict=True)
        kind = "-numbers" if spec.continuous else "-words" if spec.categories else ""
        name = f"{spec.algorithm}{kind}"
        found[name] = max(gap(a.numpy(), b.numpy()) for a, b in pairs)
        assert len(loaded.outputs) == len(spec.outputs)
    return found


if __name__ == "__main__":
    hvd.init()
    parts = (conservative, double_target, implicit, target_networks, batch_constrained, numbers)
    parts = (*parts, categories)
    wanted = [*parts, saved] if "saved" in sys.argv else parts
    print(json.dumps({f.__name__: f() for f in wanted}))
