"""Words of texts, hashed into features in the JVM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["HashedText", "number_of_words", "with_hashed_words"]

# Letters and digits of any script.
_BETWEEN_WORDS = r"r'[^\p{L}\p{N}]+'"


@dataclass(frozen=True)
class HashedText:
    """A text whose words are hashed.

    Attributes
    ----------
    source : str
        SQL expression of the text; null is a text without words.
    width : int
        Number of features.
    ngram : {1, 2}
        Whether pairs of neighbouring words count too.
    """

    source: str
    width: int
    ngram: int = 2

    def grams(self) -> str:
        """Return an SQL expression of the words, and pairs of words joined by a blank."""
        words = _words(self.source)
        if self.ngram < 2:
            return words
        at = "sequence(1, size(words) - 1)"
        pairs = f"transform({at}, i -> concat_ws(' ', words[i - 1], words[i]))"
        grams = f"if(size(words) > 1, concat(words, {pairs}), words)"
        # A lambda's variable is computed once, an expression wherever it stands.
        return f"transform(array({words}), words -> {grams})[0]"


def with_hashed_words(
    df: DataFrame, texts: Sequence[HashedText], prefix: str
) -> tuple[DataFrame, list[Column]]:
    """Add what is needed to count the words of texts, hashed into features.

    The feature of a word, or of two words joined by a blank, is the remainder of its Murmur3 hash
    with seed 42 by the number of features, as in Spark's ``HashingTF``, which does it.

    Parameters
    ----------
    df : pyspark.sql.DataFrame
    texts : sequence of HashedText
    prefix : str
        What the names of temporary columns begin with.

    Returns
    -------
    df : pyspark.sql.DataFrame
        With temporary columns.
    columns : list of Column
        For each text an ``array<float>``, computed from them.

    References
    ----------
    Weinberger, Dasgupta, Langford, Smola, Attenberg (2009), "Feature hashing for large scale
    multitask learning".
    """
    from pyspark.ml.feature import HashingTF
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    if not texts:
        return df, []
    grams = [F.expr(text.grams()).alias(f"{prefix}grams{i}") for i, text in enumerate(texts)]
    df = df.select("*", *grams)
    for i, text in enumerate(texts):
        hashing = HashingTF(
            inputCol=f"{prefix}grams{i}", outputCol=f"{prefix}counts{i}", numFeatures=text.width
        )
        df = hashing.transform(df)
    return df, [vector_to_array(F.col(f"{prefix}counts{i}"), "float32") for i in range(len(texts))]


def number_of_words(source: str) -> str:
    """Return an SQL expression of the number of words of a text; null for null."""
    return f"if({source} is null, null, cast(size({_words(source)}) as double))"


def _words(source: str) -> str:
    split = f"split(lower(coalesce({source}, '')), {_BETWEEN_WORDS})"
    return f"filter({split}, word -> word <> '')"
