"""What `test_ensemble_over_hosts` runs in driver processes, and what it fits."""

from __future__ import annotations

import time
from pathlib import Path

from sklearn.tree import DecisionTreeClassifier

import sparkml_dist as sd
from sparkml_dist.cluster.slots import await_slots


class SlowTree(DecisionTreeClassifier):
    """A tree whose fit takes a second and a half."""

    def fit(self, X, y, *args, **kwargs):
        time.sleep(1.5)
        return super().fit(X, y, *args, **kwargs)


def fits(spark, folder, members):
    """Partition a table, fit members on three hosts, and return what the model predicts."""
    await_slots(spark, 3, seconds=120)
    table = spark.range(600).selectExpr(
        "id", "double(id % 17) AS x", "double(id % 5) AS z", "int(id % 17 > 8) AS label"
    )
    data = sd.partition(table, f"{folder}/shards", label="label", key="id", shards=6, seed=1)
    model = sd.BaggingClassifier(
        estimator=SlowTree(max_depth=3),
        numMembers=members,
        modelDir=f"{folder}/model",
        trustedTypes=[f"{__name__}.SlowTree"],
        seed=3,
    ).fit(data)
    Path(folder, "fitted").touch()
    scored = model.transform(table.select("id", "x", "z")).orderBy("id").select("probability")
    hosts = {m["host"] for m in model.summary["members"] if "host" in m}
    return {
        "members": len(model.content["members"]),
        "hosts": sorted(hosts),
        "probabilities": [row[0].toArray().tolist() for row in scored.collect()],
        "left": sorted(p.name for p in Path(folder, "model").rglob("*") if ".tmp" in p.name),
    }
