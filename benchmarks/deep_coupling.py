"""Steps per second of two coupled ranks against two uncoupled processes on the same cores."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

from common import median, report, scratch, session

# Of each case the network, the rows of a rank's batch, the least ratio to reach, and the steps that
# are timed: as many for all ranks, so that none has to ask the others whether it goes on.
CASES = {
    "mlp, batch 1024": ("mlp", 1024, 0.85, 60),
    "mlp, batch 256": ("mlp", 256, 0.65, 150),
    "cnn, batch 256": ("cnn", 256, 0.85, 24),
}
KINDS = ("uncoupled", "coupled", "horovod")


def _model(network: str) -> tuple[Any, tuple[int, ...]]:
    from sparkml_dist.deep.backend.with_horovod import keras

    keras.utils.set_random_seed(0)
    if network == "cnn":
        from sparkml_dist.deep.network.builders import cnn

        return cnn((28, 28, 1), 10), (28, 28, 1)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((784,)),
            layers.Dense(800, activation="relu"),
            layers.Dense(460, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(
        keras.optimizers.Adam(1e-3), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model, (784,)


def _meet(folder: Path, place: str, rank: int, size: int) -> None:
    (folder / f"{place}-{rank}").touch()
    while not all((folder / f"{place}-{other}").exists() for other in range(size)):
        time.sleep(0.002)


def _rates(context: Any, payload: tuple[str, str, float]) -> dict[str, Any]:
    """Return steps per second and processor milliseconds of a step, for each case."""
    import numpy as np

    from sparkml_dist.deep.backend.with_horovod import tf
    from sparkml_dist.deep.params.coupling_settings import CouplingSettings
    from sparkml_dist.deep.train.coupling import Coupling
    from sparkml_dist.deep.train.horovod_threads import start_horovod
    from sparkml_dist.deep.train.reduction import reduce_alone

    kind, folder, scale = payload
    tf.config.threading.set_intra_op_parallelism_threads(context.cpus)
    tf.config.threading.set_inter_op_parallelism_threads(context.cpus)
    if kind != "uncoupled":
        start_horovod()
    found: dict[str, Any] = {}
    for place, (case, (network, batch, _, full)) in enumerate(CASES.items()):
        model, shape = _model(network)
        model.jit_compile = False
        model.optimizer.build(model.trainable_variables)
        if kind == "uncoupled":
            coupling = Coupling(model, CouplingSettings(rate_batches=1), reduce=reduce_alone)
        else:
            transport = "horovod" if kind == "horovod" else "auto"
            coupling = Coupling(model, CouplingSettings(transport=transport))
            coupling.broadcast()
        step = tf.function(coupling.train_step, autograph=False)
        rng = np.random.default_rng(context.rank)
        data = (
            tf.constant(rng.normal(size=(batch, *shape)).astype(np.float32)),
            tf.constant(rng.integers(0, 10, batch).astype(np.int32)),
            tf.ones(batch),
            tf.constant(batch),
        )
        for _ in range(3):
            float(step(data))
        _meet(Path(folder), f"{place}-begin", context.rank, context.size)
        steps = max(1, round(full * scale))
        begun, used = time.perf_counter(), time.process_time()
        for _ in range(steps):
            float(step(data))
        found[case] = {
            "rate": steps / (time.perf_counter() - begun),
            "cpu_ms": (time.process_time() - used) / steps * 1e3,
            "parameters": model.count_params(),
        }
        _meet(Path(folder), f"{place}-end", context.rank, context.size)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="of the number of steps")
    args = parser.parse_args()
    spark = session("deep_coupling", master=f"local[{args.ranks}]")

    from sparkml_dist.cluster.gang import run_gang

    rates: dict[str, dict[str, list[float]]] = {c: {k: [] for k in KINDS} for c in CASES}
    cpu: dict[str, dict[str, list[float]]] = {c: {k: [] for k in KINDS} for c in CASES}
    parameters: dict[str, int] = {}
    for _ in range(args.repeats):
        for kind in KINDS:
            with scratch() as folder:
                ranks = run_gang(
                    spark,
                    args.ranks,
                    _rates,
                    (kind, str(folder), args.scale),
                    env={"KERAS_BACKEND": "tensorflow"},
                    preload=("sparkml_dist.deep.backend.with_horovod",),
                )
            for case in CASES:
                rates[case][kind].append(sum(r.value[case]["rate"] for r in ranks) / args.ranks)
                cpu[case][kind].append(sum(r.value[case]["cpu_ms"] for r in ranks) / args.ranks)
                parameters[case] = ranks[0].value[case]["parameters"]
    spark.stop()
    ratios = {
        case: {kind: median(rates[case][kind]) / median(rates[case]["uncoupled"]) for kind in KINDS}
        for case in CASES
    }
    report(
        "deep_coupling",
        f"Steps per second of {args.ranks} ranks that train one network together, over those of "
        "as many processes that train one each, on the same cores.",
        [
            {
                "network": f"{case} ({parameters[case]:,} parameters)",
                "uncoupled steps/s": f"{median(rates[case]['uncoupled']):.1f}",
                "coupled": f"{median(rates[case]['coupled']):.1f}",
                "ratio": f"{ratios[case]['coupled']:.2f}",
                "of processor time": f"{_cpu_ratio(cpu[case], 'coupled'):.2f}",
                "by Horovod's sockets": f"{ratios[case]['horovod']:.2f}",
                "their processor time": f"{_cpu_ratio(cpu[case], 'horovod'):.2f}",
                "target": f">= {CASES[case][2]}",
            }
            for case in CASES
        ],
        target=", ".join(f"{case}: >= {least}" for case, (_, _, least, _) in CASES.items()),
        measured=", ".join(f"{case}: {ratios[case]['coupled']:.2f}" for case in CASES),
        met=all(ratios[case]["coupled"] >= CASES[case][2] for case in CASES),
        note="Coupled ranks of one host add up gradients in memory that they share; the column "
        "for Horovod's sockets is `transport='horovod'`, a grouped allreduce over Gloo, as between "
        "hosts. *Of processor time* is an uncoupled step's processor time over a coupled one's, "
        "all threads counted: what is left of the ratio when nobody waits.",
    )


def _cpu_ratio(cpu: dict[str, list[float]], kind: str) -> float:
    return median(cpu["uncoupled"]) / median(cpu[kind])


if __name__ == "__main__":
    main()
