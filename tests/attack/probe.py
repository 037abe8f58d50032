"""Loads saved folders and asks them, one after the other, for the campaign; a process of its own.

Reads lines of JSON, ``{"location", "name"}``, and answers each with a line that begins with a mark:
what was found, or how it was refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MARK = "probe: "
TRUSTED = ["small_network.py:small"]


def samples_module() -> Any:
    """Return the script that makes the samples, which knows how to ask them."""
    spec = importlib.util.spec_from_file_location(
        "make_saved_samples", ROOT / "scripts" / "make_saved_samples.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def outcome(location: str, name: str, spark: Any, script: Any) -> dict[str, Any]:
    """Load what lies at `location` and return what it says, or its error."""
    import sparkml_dist as sd
    from sparkml_dist.errors import SparkMLDistError

    try:
        if name == "dataset":
            data = sd.open_partitioned(location)
            blocks = [data.read_block(i) for i in range(len(data.shards))]
            said: Any = [[b.X.tolist(), b.y.tolist()] for b in blocks]
        elif name.endswith("Model") and name != "GeneralizedLinearModel":
            said = script.said(sd.load_model(location, trusted=TRUSTED), spark)
        else:
            said = script.said(getattr(sd, name).load(location, trusted=TRUSTED), spark)
    except SparkMLDistError as error:
        return {"refused": error.code, "message": str(error)}
    except Exception as error:  # noqa: BLE001 - what it is, is what is asked
        text = f"{type(error).__name__}: {error}"
        if "sparkml_dist.errors." in text:  # as Spark reports what its workers raise
            return {"refused": "in a worker", "message": text[-400:]}
        return {"fault": text[:800]}
    text = json.dumps(said, default=str)
    return {"said": hashlib.sha256(text.encode()).hexdigest()}


def main() -> None:
    """Answer lines until the input ends."""
    import sparkml_dist as sd

    script = samples_module()
    spark = sd.get_session("attack")
    spark.conf.set("spark.sql.shuffle.partitions", 2)
    print(f"{MARK}ready", flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        found = outcome(asked["location"], asked["name"], spark, script)
        print(f"{MARK}{json.dumps(found)}", flush=True)


if __name__ == "__main__":
    main()
