"""Files of learners, taken apart and put together again."""

from __future__ import annotations

import io
import json
import zipfile

import skops.io

from sparkml_dist.persistence.learners import dump_learner

__all__ = ["joined", "parts", "schema_of", "stored"]


def stored(learner):
    """Return a learner's file, with what it needs to be trusted."""
    trusted = skops.io.get_untrusted_types(data=skops.io.dumps(learner))
    return dump_learner(learner, trusted=trusted), trusted


def parts(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def joined(files, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


def schema_of(content, change):
    files = parts(content)
    schema = json.loads(files["schema.json"])
    change(schema)
    files["schema.json"] = json.dumps(schema).encode()
    return joined(files)
