"""What a rank keeps in memory while its bins are on disk, by the settings of its trees."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from sparkml_dist.boosting.memory import external_bytes, nodes_at_once, page_bytes

MIB = 1 << 20


def data(rows, features, shards, classes=2, weight=None):
    row = 4 * features
    infos = [
        SimpleNamespace(rows=rows // shards, block_bytes=rows // shards * row)
        for _ in range(shards)
    ]
    manifest = SimpleNamespace(label=SimpleNamespace(classes=[""] * classes), weight=weight)
    return SimpleNamespace(
        shards=infos, n_rows=rows, n_features=features, manifest=manifest, layout="dense"
    )


@pytest.mark.parametrize(
    ("policy", "depth", "leaves", "nodes"),
    [
        ("depthwise", 6, 0, 32),
        ("depthwise", 8, 0, 128),
        ("depthwise", 8, 20, 10),
        ("depthwise", 0, 64, 32),
        ("depthwise", 1, 0, 1),
        ("lossguide", 0, 255, 1),
    ],
)
def test_nodes_that_are_split_at_once(policy, depth, leaves, nodes):
    assert nodes_at_once(policy, depth, leaves) == nodes


def test_deep_trees_take_larger_pages_and_more_memory():
    big, memory = data(18_750_000, 160, 190), 800 * MIB
    found = {d: external_bytes(big, 2, memory, nodes_at_once("depthwise", d, 0)) for d in (6, 8)}
    # 44 bytes for each of 9,375,000 rows, and pages with their buffers.
    assert 393 * MIB < found[6] < 750 * MIB < memory < found[8]
    pages = [page_bytes(big, 2, memory, nodes, external=True) for nodes in (1, 32, 128)]
    assert pages == sorted(pages) and pages[-1] <= memory / 8


def test_classes_weights_and_short_shards_take_memory():
    nodes, memory = 32.0, 512 * MIB
    plain = external_bytes(data(10**6, 28, 4), 1, memory, nodes)
    weighted = external_bytes(data(10**6, 28, 4, weight="w"), 1, memory, nodes)
    several = external_bytes(data(10**6, 28, 4, classes=5), 1, memory, nodes)
    assert (weighted - plain, several - plain) == pytest.approx((4e6, 64e6))
    # Each shard is a page at least, which has buffers of its own.
    assert external_bytes(data(10**6, 28, 1_000), 1, memory, nodes) > 2 * plain


MEASURED = """
import json, sys, tempfile
import numpy as np, xgboost
rows, page, depth = map(int, sys.argv[1:])

class Pages(xgboost.DataIter):
    def __init__(self, cache):
        self.at = 0
        super().__init__(cache_prefix=cache)
    def reset(self):
        self.at = 0
    def next(self, give):
        if self.at >= rows:
            return False
        draw = np.random.default_rng(self.at)
        X = draw.standard_normal((page, 4), dtype=np.float32)
        give(data=X, label=(X.sum(1) > 0).astype(np.float32))
        self.at += page
        return True

def bytes_of(name):
    line = next(x for x in open("/proc/self/status") if x.startswith(name))
    return 1024 * int(line.split()[1])

with tempfile.TemporaryDirectory() as folder:
    matrix = xgboost.ExtMemQuantileDMatrix(Pages(folder + "/c"), nthread=1)
    before = bytes_of("VmData")
    booster = xgboost.Booster(
        {"max_depth": depth, "objective": "binary:logistic", "nthread": 1}, [matrix]
    )
    for i in range(2):
        booster.update(matrix, i)
        booster.eval_set([(matrix, "train")], i)
    print(json.dumps(bytes_of("VmData") - before))
    del booster, matrix
"""


@pytest.mark.long
@pytest.mark.parametrize(("page", "depth"), [(5_000, 8), (50_000, 8), (5_000, 3)])
def test_xgboost_keeps_what_is_computed(page, depth):
    rows, nodes = 300_000, nodes_at_once("depthwise", depth, 0)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURED, *map(str, (rows, page, depth))],
        capture_output=True,
        check=True,
        text=True,
    )
    measured = json.loads(done.stdout.splitlines()[-1])
    # The label is in memory before; shards of a page each make it the size of the pages.
    whole = external_bytes(data(rows, 4, rows // page), 1, 1 << 40, nodes)
    expected = whole - 4 * rows - 3 * 16 * page
    assert expected == pytest.approx(measured, rel=0.25)
