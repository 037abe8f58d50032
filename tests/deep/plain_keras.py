"""What `test_keras_estimator` runs in a process of its own: plain Keras on the same batches."""

from __future__ import annotations

import numpy as np


def compare(context, cases):
    """Return for each case the largest gap between the weights, and how far they moved."""
    return [gap(job, file, sha256) for job, file, sha256 in cases]


def gap(job, file, sha256):
    from sparkml_dist.deep.backend.with_horovod import keras
    from sparkml_dist.deep.input.plan import plan_epoch
    from sparkml_dist.deep.input.rank_input import rank_stream
    from sparkml_dist.deep.network.builder_call import call_builder, load_builder
    from sparkml_dist.deep.network.network_arrays import network_arrays
    from sparkml_dist.deep.scoring.scorer import load_network
    from sparkml_dist.deep.train.model_check import build_model
    from sparkml_dist.deep.train.network_facts import network_facts

    keras.utils.set_random_seed(job.seed)
    builder = load_builder(job.builder)
    model = call_builder(builder, {"input_shape": job.inputs.shape})
    facts = network_facts(build_model(lambda: model, {}, job.inputs), job.target, job.inputs)
    before = model.get_weights()
    groups = job.rows.nested(job.rows.count())
    losses = []
    for epoch in range(job.epochs):
        plan = plan_epoch(
            groups, lanes=job.lanes, batch_size=job.batch_size, seed=job.seed, epoch=epoch
        )
        losses.append([])
        with rank_stream(job.rows, job.gathered, plan, 0, 1) as stream:
            for batch in stream:
                x, y = keras.tree.map_structure(
                    lambda a, n=batch.rows: np.array(a[:n]), network_arrays(batch, job, facts)
                )
                logs = model.train_on_batch(x, y, return_dict=True)
                losses[-1].append((batch.rows, float(logs["loss"])))
    fitted = load_network(job.folder, file, sha256).get_weights()
    pairs = list(zip(fitted, model.get_weights(), strict=True))
    means = [sum(n * v for n, v in part) / sum(n for n, _ in part) for part in losses]
    return {
        "gap": max(float(np.abs(a - b).max()) for a, b in pairs),
        "moved": max(float(np.abs(a - b).max()) for a, b in zip(fitted, before, strict=True)),
        "losses": means,
    }
