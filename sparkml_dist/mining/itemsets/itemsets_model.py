"""Mined itemsets: a table, what is known about it, and how it is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyspark.ml.base import Model
from pyspark.ml.util import MLReadable, MLReader, MLWritable, MLWriter

from sparkml_dist.errors import ConfigurationError, StorageError
from sparkml_dist.ml_io import _open_target, _write_spark_metadata
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile, check_files, versions
from sparkml_dist.persistence.seal import check_sealed, reading_fields, sealed
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["FrequentItemsetsModel"]

_MANIFEST = "manifest.json"
_FORMAT = "sparkml_dist.itemsets"
_PROTOCOL = 1
_TABLE = "itemsets"


class FrequentItemsetsModel(Model, MLWritable, MLReadable):
    """The itemsets that `FrequentItemsets` found.

    Attributes
    ----------
    itemsets : pyspark.sql.DataFrame
        ``items`` (array, sorted), ``count`` (long: baskets that hold them), ``support`` (double:
        their share); made by executors when it is read.
    n_baskets : int
        Baskets that were mined.
    n_itemsets : int
    sizes : dict of int to int
        Number of itemsets by number of items.
    min_count : int
        Baskets that hold every itemset, at least.
    item_type : str
        Spark's name of the items' type.
    summary : dict
        How the fit went.
    """

    def __init__(
        self,
        itemsets: DataFrame,
        *,
        n_baskets: int,
        min_count: int,
        sizes: dict[int, int],
        item_type: str,
        summary: dict[str, Any],
        stored: DataFrame | None = None,
    ) -> None:
        super().__init__()
        self.itemsets = itemsets
        self.n_baskets = n_baskets
        self.min_count = min_count
        self.sizes = sizes
        self.item_type = item_type
        self.summary = summary
        self._stored = stored

    @property
    def n_itemsets(self) -> int:
        """Number of itemsets."""
        return sum(self.sizes.values())

    def unpersist(self) -> FrequentItemsetsModel:
        """Free what the fit keeps in Spark's storage; `itemsets` is mined again when it is read."""
        if self._stored is not None:
            self._stored.unpersist()
        return self

    def _transform(self, dataset: DataFrame) -> DataFrame:
        raise ConfigurationError(
            "no_transform",
            "Itemsets alone predict nothing about a basket.",
            "Fit AssociationRules on the itemsets and transform with its model.",
        )

    def write(self) -> MLWriter:
        """Return a writer; ``model.write().overwrite().save(path)``."""
        return _ItemsetsWriter(self)

    @classmethod
    def read(cls) -> MLReader:
        """Return a reader; ``FrequentItemsetsModel.read().load(path)``."""
        return _ItemsetsReader()

    def __repr__(self) -> str:
        return (
            f"FrequentItemsetsModel({self.n_itemsets:,} itemsets in at least {self.min_count:,} of "
            f"{self.n_baskets:,} baskets)"
        )


class _ItemsetsWriter(MLWriter):
    """Writes the table as Parquet and seals it with a manifest."""

    def __init__(self, model: FrequentItemsetsModel) -> None:
        super().__init__()
        self._model = model

    def save(self, path: str) -> None:
        """Write the model to `path`; the manifest comes last."""
        model = self._model
        folder = _open_target(path, overwrite=self.shouldOverwrite)
        table = folder.child(_TABLE)
        try:
            model.itemsets.write.parquet(table.spark_path())
            files = [ModelFile.of(folder, f"{_TABLE}/{name}") for name in table.names(".parquet")]
            _write_spark_metadata(model, folder, {})
            value = {
                "format": _FORMAT,
                "protocol": _PROTOCOL,
                "uid": model.uid,
                "versions": versions(),
                "item_type": model.item_type,
                "n_baskets": model.n_baskets,
                "min_count": model.min_count,
                "sizes": {str(size): number for size, number in model.sizes.items()},
                "summary": model.summary,
                "files": [{"name": f.name, "bytes": f.bytes, "sha256": f.sha256} for f in files],
            }
            folder.write_json(_MANIFEST, sealed(value))
        except BaseException:
            folder.delete()
            raise


class _ItemsetsReader(MLReader):
    """Reads what `_ItemsetsWriter` wrote."""

    def load(self, path: str) -> FrequentItemsetsModel:
        """Load the itemsets saved at `path`, the files checked against their hashes."""
        folder = Folder.at(path)
        if not folder.exists(_MANIFEST):
            raise StorageError(
                "not_a_model",
                f"There are no saved itemsets in {folder.location!r}.",
                "Name the folder that holds the manifest.json.",
            )
        value = folder.read_json(_MANIFEST)
        check_sealed(value, _FORMAT, _PROTOCOL, folder.uri(_MANIFEST))
        with reading_fields(folder.uri(_MANIFEST), "Mine the itemsets anew."):
            files = [ModelFile(**f) for f in value["files"]]
            fields = {name: value[name] for name in ("n_baskets", "min_count", "item_type")}
            sizes = {int(size): number for size, number in value["sizes"].items()}
            summary, uid = value["summary"], value["uid"]
        check_files(folder, files, verify=True)
        schema = f"items array<{fields['item_type']}>, count bigint, support double"
        table = get_session().read.schema(schema).parquet(folder.child(_TABLE).spark_path())
        model = FrequentItemsetsModel(table, **fields, sizes=sizes, summary=summary)
        model._resetUid(uid)
        return model
