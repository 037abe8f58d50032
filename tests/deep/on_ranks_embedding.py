"""What `test_sharded_embedding` runs in the processes of ranks; imports no TensorFlow by itself."""

from __future__ import annotations

import hashlib
import os
import tempfile
import zipfile

import numpy as np

ROWS, COLUMNS, WIDTH, CLASSES = 53, 4, 6, 3
BATCH, STEPS = 8, 6
SEED = 3
OPTIMIZERS = {
    "sgd": lambda keras: keras.optimizers.SGD(0.5),
    "momentum": lambda keras: keras.optimizers.SGD(0.2, momentum=0.9),
    "adam": lambda keras: keras.optimizers.Adam(0.01),
    "adagrad": lambda keras: keras.optimizers.Adagrad(0.1),
    "clipped": lambda keras: keras.optimizers.SGD(0.5, global_clipnorm=0.05),
}
if os.environ.get("SPARKML_DIST_TEST_PROFILE") != "long":  # adam has slots of all these kinds
    del OPTIMIZERS["momentum"], OPTIMIZERS["adagrad"]


def run(context):
    from sparkml_dist.deep.backend.with_horovod import hvd

    hvd.init()
    return {
        "table": _sha256(gathered(network("sgd").layers[1].embeddings)),
        "forward": forward(context),
        "train": {name: train_together(context, name) for name in OPTIMIZERS},
        "marks": marks(),
        "outside": outside(),
        "alone": save_alone(),
        "refused": refused_optimizer(),
        "saved": save(context),
    }


def run_groups(context):
    """Four ranks: two groups that have a copy of the table each."""
    from sparkml_dist.deep.backend.with_horovod import hvd

    hvd.init()
    return {
        "table": _sha256(gathered(network("sgd", 2).layers[1].embeddings)),
        "train": {name: train_together(context, name, 2) for name in ("sgd", "adam")},
        "place": [network("sgd", 2).layers[1].place.replica, context.rank // 2],
        "refused": refused_groups(),
    }


# -- networks ---------------------------------------------------------------------------------


def network(optimizer, ranks_per_table=None, layer=None):
    """A network that uses one table twice."""
    from sparkml_dist.deep.backend.with_horovod import keras
    from sparkml_dist.deep.embedding.layer import ShardedEmbedding

    keras.utils.set_random_seed(SEED)
    layer = layer or ShardedEmbedding(
        ROWS,
        COLUMNS,
        embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=SEED),
        ranks_per_table=ranks_per_table,
        name="table",
    )
    ids = keras.Input((WIDTH,))
    rows = layer(ids)
    again = layer(ids[:, ::2])
    x = keras.layers.Concatenate()(
        [keras.layers.Flatten()(rows), keras.layers.GlobalAveragePooling1D()(again)]
    )
    outputs = keras.layers.Dense(CLASSES, activation="softmax")(x)
    model = keras.Model(ids, outputs)
    model.compile(
        OPTIMIZERS[optimizer](keras), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    model.optimizer.build(model.trainable_variables)
    return model


def plain(optimizer, table):
    """The same network with Keras' own embedding."""
    from sparkml_dist.deep.backend.with_horovod import keras

    layer = keras.layers.Embedding(ROWS, COLUMNS, name="table")
    model = network(optimizer, layer=layer)
    if len(table):
        layer.set_weights([table])
    return model


def gathered(variable):
    """Return the whole table on rank 0, else an empty one."""
    from sparkml_dist.deep.embedding.marks import shard_of
    from sparkml_dist.deep.embedding.saving import gathered_rows

    if shard_of(variable) is None:
        return variable.numpy()
    # Pieces of a few rows: several are needed.
    pieces = [rows for _, rows in gathered_rows(variable, 100) if rows is not None]
    return np.concatenate(pieces) if pieces else np.zeros((0, COLUMNS), np.float32)


def parts(size, step):
    """Return the (x, y, weight, rows) of every rank; the last one of step 2 has no rows."""
    rng = np.random.default_rng((11, step))
    found = []
    for rank in range(size):
        rows = 0 if (step, rank) == (2, size - 1) else BATCH - rank * (step == 4)
        # Few distinct ids in one step: duplicates in a batch and between ranks.
        x = rng.integers(0, 5 if step == 1 else ROWS, (BATCH, WIDTH)).astype(np.float32)
        y = rng.integers(0, CLASSES, BATCH).astype(np.int32)
        weight = rng.uniform(0.1, 4.0, BATCH)
        weight[rows:] = 0
        found.append((x, y, weight.astype(np.float32), rows))
    return found


# -- checks -----------------------------------------------------------------------------------


def forward(context):
    """Rows, in eager and compiled calls, also for a batch without any."""
    from sparkml_dist.deep.backend.with_horovod import tf

    layer = network("sgd").layers[1]
    table = gathered(layer.embeddings)
    table = np.frombuffer(_from_rank_0(table.tobytes()), np.float32).reshape(ROWS, COLUMNS)
    call = tf.function(layer)
    gaps = []
    for step in range(3):
        ids = np.random.default_rng((context.rank, step)).integers(0, ROWS, (5, 2))
        if step == 2 and context.rank == 0:
            ids = ids[:0]
        found = [layer(tf.constant(ids)), call(tf.constant(ids))]
        gaps += [bool((rows.numpy() == table[ids]).all()) for rows in found]
    return gaps


def train_together(context, optimizer, ranks_per_table=None):
    """Train all ranks' shards; rank 0 also trains Keras' own embedding on the whole batches."""
    from sparkml_dist.deep.backend.with_horovod import hvd, tf
    from sparkml_dist.deep.embedding.marks import count_parameters
    from sparkml_dist.deep.params.coupling_settings import CouplingSettings
    from sparkml_dist.deep.train.coupling import Coupling

    clip_norm = 0.05 if optimizer == "clipped" else None
    model = network("sgd" if clip_norm else optimizer, ranks_per_table)
    table = gathered(model.layers[1].embeddings)
    # Built on every rank: Horovod tells variables by their names, which count what was built.
    wanted = plain(optimizer, table)
    before = [np.array(w) for w in wanted.get_weights()]
    coupling = Coupling(model, CouplingSettings(clip_norm=clip_norm))
    coupling.broadcast()
    step = tf.function(model.train_step, autograph=False)
    for number in range(STEPS):
        all_parts = parts(hvd.size(), number)
        x, y, weight, rows = all_parts[context.rank]
        step((x, y, weight, tf.constant(rows)))
        if context.rank == 0:
            xs, ys, ws = (np.concatenate([p[i][: p[3]] for p in all_parts]) for i in range(3))
            plain_step(wanted, xs, ys, ws * np.float32(len(ws) / ws.sum()))
    found = {
        "sha256": coupling.check_equal(0),
        "own_rows": model.layers[1].embeddings.shape[0],
        "parameters": count_parameters(model) - model.count_params(),
    }
    table = gathered(model.layers[1].embeddings)
    slots = [gathered(v) for v in model.optimizer.variables]
    if context.rank == 0:
        own = [table, *(v.numpy() for v in model.trainable_variables[1:])]
        found["gap"] = _gap(own, wanted.get_weights())
        found["slots"] = _gap(slots, [v.numpy() for v in wanted.optimizer.variables])
        found["moved"] = _gap(before, wanted.get_weights())
    return found


def plain_step(model, x, y, weight):
    """Train Keras' own embedding on a batch.

    By the gradient itself: handed over row by row, as `train_on_batch` does, an id that occurs
    twice would have its gradients squared one by one by Adam and its kin.
    """
    from sparkml_dist.deep.backend.with_horovod import tf

    with tf.GradientTape() as tape:
        loss = model.compute_loss(x, y, model(x, training=True), weight)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    model.optimizer.apply([tf.convert_to_tensor(g) for g in gradients], model.trainable_variables)


def marks():
    from sparkml_dist.deep.embedding.marks import mark_slots, sharded_over_ranks

    model = network("adam")
    mark_slots(model.optimizer, model.trainable_variables)
    return [
        [v.path for v in variables if sharded_over_ranks(v)]
        for variables in (model.trainable_variables, model.optimizer.variables)
    ]


def outside():
    from sparkml_dist.deep.backend.with_horovod import tf

    layer = network("sgd").layers[1]
    found = []
    for call in (layer, tf.function(layer)):
        try:
            call(tf.constant([[1, ROWS, -1]]))
        except tf.errors.InvalidArgumentError as error:
            found.append(str(error))
    return found


def save_alone():
    from sparkml_dist.errors import StorageError

    try:
        with tempfile.TemporaryDirectory() as folder:
            network("sgd").save(f"{folder}/model.keras")
    except StorageError as error:
        return [error.code, error.message]
    return "nothing"


def save(context):
    """Train one step, save on all ranks; tell what the file must hold."""
    from sparkml_dist.deep.backend.with_horovod import hvd, tf
    from sparkml_dist.deep.embedding.saving import save_model
    from sparkml_dist.deep.train.coupling import Coupling

    model = network("adam")
    coupling = Coupling(model)
    coupling.broadcast()
    x, y, weight, rows = parts(hvd.size(), 0)[context.rank]
    model.train_step((x, y, weight, tf.constant(rows)))
    path = os.environ["MODEL_PATH"]
    save_model(model, path)
    tables = [gathered(v) for v in (model.trainable_variables[0], *model.optimizer.variables)]
    predictions = model(parts(hvd.size(), 0)[0][0]).numpy()
    entries = zipfile.ZipFile(path).namelist() if context.rank == 0 else []
    return {
        "entries": sorted(entries),
        "tables": [_sha256(t) for t in tables],
        "predictions": predictions.tolist(),
        "left": sorted(os.listdir(os.path.dirname(path))),
    }


def load(context):
    """In one process: what the file holds, as it is and with Keras' own embedding."""
    from sparkml_dist.deep.backend.without_horovod import keras
    from sparkml_dist.deep.embedding.plain import with_plain_embeddings

    model = keras.saving.load_model(os.environ["MODEL_PATH"], safe_mode=True)
    x = parts(context.size, 0)[0][0]
    tables = [v.numpy() for v in (model.trainable_variables[0], *model.optimizer.variables)]
    unsharded = with_plain_embeddings(model)
    return {
        "layer": type(model.layers[1]).__name__,
        "tables": [_sha256(t) for t in tables],
        "predictions": model(x).numpy().tolist(),
        "plain_layer": type(unsharded.layers[1]).__module__,
        "plain_predictions": unsharded(x).numpy().tolist(),
        "table": _sha256(network("sgd").layers[1].embeddings.numpy()),
        "outside": outside(),
    }


def refused_optimizer():
    from sparkml_dist.deep.backend.with_horovod import keras
    from sparkml_dist.deep.train.coupling import Coupling
    from sparkml_dist.errors import ConfigurationError

    model = network("sgd")
    model.compile(keras.optimizers.Lamb(0.1), "sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    try:
        Coupling(model)
    except ConfigurationError as error:
        return [error.code, error.message]
    return "nothing"


def refused_groups():
    from sparkml_dist.errors import ConfigurationError

    try:
        network("sgd", 3)
    except ConfigurationError as error:
        return [error.code, error.message]
    return "nothing"


def _from_rank_0(content):
    from sparkml_dist.deep.backend.with_horovod import hvd

    return hvd.broadcast_object(content, root_rank=0)


def _sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def _gap(found, wanted):
    return max(float(np.abs(a - b).max()) for a, b in zip(found, wanted, strict=True))
