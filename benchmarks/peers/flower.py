"""Flower's part in benchmarks/federated_scale.py: FedAvg of a softmax regression, simulated.

Run as ``python flower.py FOLDER`` by the Python of the environment that has Flower. FOLDER holds
``rows.npz`` (X, y, silo, X_test, y_test) and ``task.json`` (silos, rounds, rate, batch); it gets
``flower.json`` with the seconds of each round, of all, and the accuracy.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

CORES = 2


def trained(weights: Any, X: Any, y: Any, rate: float, batch: int, rng: Any) -> Any:
    """Return the coefficients after one pass over the rows, in batches."""
    weights = weights.copy()
    X = np.column_stack([X, np.ones(len(X))])
    order = rng.permutation(len(X))
    for start in range(0, len(X), batch):
        own = order[start : start + batch]
        scores = X[own] @ weights
        p = np.exp(scores - scores.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        p[np.arange(len(own)), y[own]] -= 1
        weights -= rate * X[own].T @ p / len(own)
    return weights


def main(folder: Path) -> None:
    from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict
    from flwr.clientapp import ClientApp
    from flwr.serverapp import Grid, ServerApp
    from flwr.serverapp.strategy import FedAvg
    from flwr.simulation import run_simulation

    task = json.loads((folder / "task.json").read_text())
    rows = dict(np.load(folder / "rows.npz"))
    order = np.argsort(rows["silo"], kind="stable")
    X, y = rows["X"][order], rows["y"][order]
    ends = np.searchsorted(rows["silo"][order], np.arange(task["silos"] + 1))
    classes = int(rows["y"].max()) + 1
    told: dict[str, Any] = {}
    client, server = ClientApp(), ServerApp()

    @client.train()
    def train(message: Message, context: Context) -> Message:
        silo = int(context.node_config["partition-id"])
        own = slice(ends[silo], ends[silo + 1])
        (weights,) = message.content["arrays"].to_numpy_ndarrays()
        rng = np.random.default_rng(silo)
        if ends[silo + 1] > ends[silo]:
            weights = trained(weights, X[own], y[own], task["rate"], task["batch"], rng)
        found = {"num-examples": max(1, int(ends[silo + 1] - ends[silo]))}
        content = RecordDict({"arrays": ArrayRecord([weights]), "metrics": MetricRecord(found)})
        return Message(content=content, reply_to=message)

    @server.main()
    def coordinate(grid: Grid, context: Context) -> None:  # noqa: ARG001 - Flower's signature
        strategy = FedAvg(fraction_train=1.0, fraction_evaluate=0.0)
        start = ArrayRecord([np.zeros((X.shape[1] + 1, classes))])
        begun = time.perf_counter()
        found = strategy.start(grid=grid, initial_arrays=start, num_rounds=task["rounds"])
        told["seconds"] = time.perf_counter() - begun
        (weights,) = found.arrays.to_numpy_ndarrays()
        test = np.column_stack([rows["X_test"], np.ones(len(rows["X_test"]))])
        told["accuracy"] = float(((test @ weights).argmax(axis=1) == rows["y_test"]).mean())

    begun = time.perf_counter()
    run_simulation(
        server_app=server,
        client_app=client,
        num_supernodes=task["silos"],
        backend_config={
            "client_resources": {"num_cpus": 1, "num_gpus": 0.0},
            "init_args": {"num_cpus": CORES},
        },
    )
    told["wall"] = time.perf_counter() - begun
    (folder / "flower.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
