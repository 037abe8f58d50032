"""What `test_keras_archive` runs in a process of its own: crafted networks, loaded with Keras."""

from __future__ import annotations

import hashlib
import io
import json
import resource
import sys
import zipfile
from pathlib import Path
from typing import Any


def networks(keras: Any) -> dict[str, Any]:
    """Return networks of many kinds of parts, all of which must load."""
    import numpy as np

    from sparkml_dist.deep.embedding.layer import ShardedEmbedding

    layers, ops = keras.layers, keras.ops
    i = keras.Input((8,))
    x = layers.Dense(16, activation="relu", kernel_regularizer=keras.regularizers.L2(1e-3))(i)
    x = layers.Dropout(0.2)(layers.BatchNormalization()(x))
    x = ops.concatenate([ops.relu(x) + 1.0, x], axis=1)
    x = layers.Activation(keras.activations.gelu)(x)
    functional = keras.Model(i, layers.Dense(3, activation="softmax")(x))
    ids = keras.Input((6,))
    x = layers.Embedding(10, 4)(ids)
    x = layers.Flatten()(layers.MultiHeadAttention(2, 4)(x, x))
    attention = keras.Model(ids, layers.Dense(2)(x))
    attention.compile("adam", "mse", metrics=["accuracy"])
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(3)])
    inner.compile("sgd", "mse")
    normal = layers.Normalization()
    normal.adapt(np.arange(12.0).reshape(3, 4))
    look = layers.IntegerLookup()
    look.adapt(np.array([3, 4, 4, 7]))
    numbers = keras.Input((4,), dtype="int64")
    a, b = keras.Input((4,), name="a"), keras.Input((2,), name="b")
    joined = layers.Concatenate()([a, b])
    return {
        "functional": functional,
        "attention": attention,
        "convolutions": keras.Sequential(
            [
                keras.Input((8, 8, 1)),
                layers.Rescaling(1 / 255),
                layers.SeparableConv2D(4, 3, padding="same"),
                layers.MaxPooling2D(),
                layers.GlobalAveragePooling2D(),
                layers.PReLU(),
                layers.Dense(2),
            ]
        ),
        "recurrent": keras.Sequential(
            [
                keras.Input((5, 3)),
                layers.Bidirectional(layers.LSTM(4, return_sequences=True)),
                layers.TimeDistributed(layers.Dense(3)),
                layers.GRU(3),
            ]
        ),
        "nested": keras.Sequential([keras.Input((4,)), inner, layers.Dense(1)]),
        "normal": keras.Sequential([keras.Input((4,)), normal, layers.Dense(1)]),
        "adapted": keras.Model(numbers, ops.cast(look(numbers), "float32")),
        "sharded": keras.Sequential(
            [keras.Input((4,)), ShardedEmbedding(10, 3), layers.Flatten(), layers.Dense(1)]
        ),
        "several": keras.Model(
            {"a": a, "b": b},
            {"x": layers.Dense(1)(joined), "y": layers.Add()([layers.Dense(2)(joined), b])},
        ),
    }


def rewritten(content: bytes, change: Any = None, **members: bytes) -> bytes:
    """Return a network's file with another configuration, or other members."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        files = {name: source.read(name) for name in source.namelist()}
    if change is not None:
        config = json.loads(files["config.json"])
        change(config)
        files["config.json"] = json.dumps(config).encode()
    files.update(members)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, data in files.items():
            target.writestr(name, data)
    return out.getvalue()


def dense(**changes: Any) -> Any:
    """Return a change of the first dense layer's entry in a configuration."""

    def change(config: dict[str, Any]) -> None:
        entry = next(e for e in config["config"]["layers"] if e["class_name"] == "Dense")
        settings = changes.pop("settings", {})
        entry.update(changes)
        entry["config"].update(settings)

    return change


def crafted(content: bytes, place: Path) -> dict[str, bytes]:
    """Return files that must be refused, made of an honest one with a dense layer."""
    import h5py
    import numpy as np

    def weights(write: Any) -> bytes:
        out = io.BytesIO()
        with h5py.File(out, "w") as file:
            write(file)
        return out.getvalue()

    secret = place / "secret.h5"
    with h5py.File(secret, "w") as file:
        file["w"] = np.arange(3.0)
    virtual = h5py.VirtualLayout((3,), "f8")
    virtual[:] = h5py.VirtualSource(str(secret), "w", (3,))
    function = {"module": "builtins", "class_name": "function", "registered_name": None}
    module = place / "planted.py"
    module.write_text(f"open({str(place / 'ran')!r}, 'w')\nclass Planted: pass\n")
    big: dict[str, Any] = {"settings": {"units": 10**9}}
    h5 = "model.weights.h5"
    changed = {
        "lambda": dense(module="keras.layers", class_name="Lambda"),
        "python": dense(
            settings={"activation": {"class_name": "__lambda__", "config": {"value": "4wAAAA=="}}}
        ),
        "saved model": dense(
            module="keras.layers", class_name="TFSMLayer", config={"filepath": str(place)}
        ),
        "torch": dense(module="keras.layers", class_name="TorchModuleWrapper"),
        "planted module": dense(module="planted", class_name="Planted"),
        "os": dense(settings={"activation": {**function, "module": "os", "config": "system"}}),
        "inside of Keras": dense(
            settings={
                "activation": {
                    **function,
                    "module": "keras.src.utils.file_utils",
                    "config": "rmtree",
                }
            }
        ),
        "download": dense(
            settings={"activation": {**function, "module": "keras.utils", "config": "get_file"}}
        ),
        "data": dense(
            settings={
                "activation": {**function, "module": "keras.datasets.mnist", "config": "load_data"}
            }
        ),
        "plot": dense(
            settings={"activation": {**function, "module": "keras.utils", "config": "plot_model"}}
        ),
        "settings of Keras": dense(
            settings={
                "activation": {
                    **function,
                    "module": "keras.config",
                    "config": "enable_unsafe_deserialization",
                }
            }
        ),
        "application": dense(module="keras.applications", class_name="ResNet50", config={}),
        "callback": dense(module="keras.callbacks", class_name="CSVLogger"),
        "registered elsewhere": dense(registered_name="others>Dense", module="others"),
        "vocabulary": dense(
            module="keras.layers",
            class_name="StringLookup",
            config={"vocabulary": "/etc/passwd"},
        ),
        "text": dense(settings={"kernel_initializer": _numpy("S1000000000")}),
        "objects": dense(settings={"kernel_initializer": _numpy("O")}),
        "wide": dense(**big),
    }
    files = {name: rewritten(content, change) for name, change in changed.items()}
    deep = b'{"a":' * 500 + b"1" + b"}" * 500
    members: dict[str, dict[str, bytes]] = {
        "deep": {"config.json": deep},
        "not a mapping": {"config.json": b"[]"},
        "no configuration": {"config.json": b""},
        "another member": {"setup.py": b"x"},
        "assets elsewhere": {"assets/../x": b"x"},
        "other weights": {"model.weights.npz": b"x"},
        "no weights": {h5: b"x"},
        "link": {h5: weights(lambda f: f.__setitem__("w", h5py.ExternalLink(str(secret), "w")))},
        "soft link": {h5: weights(lambda f: f.__setitem__("w", h5py.SoftLink("/w")))},
        "external": {
            h5: weights(
                lambda f: f.create_dataset("w", (9,), "u1", external=[("/etc/passwd", 0, 9)])
            )
        },
        "virtual": {h5: weights(lambda f: f.create_virtual_dataset("w", virtual))},
        "compressed": {
            h5: weights(lambda f: f.create_dataset("w", (10**8,), "u1", compression="gzip"))
        },
        "empty": {h5: weights(lambda f: f.create_dataset("w", (10**12,), "f4"))},
    }
    files |= {name: rewritten(content, **parts) for name, parts in members.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("config.json", b" " * 100_000_000)
    files["deflated"] = out.getvalue()
    return files


def _numpy(dtype: str) -> dict[str, Any]:
    return {"class_name": "__numpy__", "config": {"value": [1], "dtype": dtype}}


def main(place: Path) -> None:
    """Print how honest and crafted files are taken, as JSON."""
    from sparkml_dist.deep.scoring.scorer import _keras, load_network
    from sparkml_dist.errors import StorageError
    from sparkml_dist.persistence.filesystem import Folder

    keras = _keras(1)
    sys.path.insert(0, str(place))
    folder, found = Folder.at(place), {}

    def load(name: str, content: bytes) -> Any:
        folder.write_bytes("n.keras", content)
        return load_network(folder, "n.keras", hashlib.sha256(content).hexdigest())

    made = networks(keras)
    for name, network in made.items():
        network.save(place / "honest.keras")
        try:
            again = load(name, (place / "honest.keras").read_bytes())
            same = [
                (a == b).all()
                for a, b in zip(network.get_weights(), again.get_weights(), strict=True)
            ]
            found[name] = "loaded" if all(same) else "other weights"
        except StorageError as error:
            found[name] = str(error)
    made["nested"].save(place / "honest.keras")
    content = (place / "honest.keras").read_bytes()
    for name, file in crafted(content, place).items():
        try:
            load(name, file)
            found[f"crafted: {name}"] = "loaded"
        except StorageError as error:
            found[f"crafted: {name}"] = error.code
    found["ran"] = (place / "ran").exists()
    found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
