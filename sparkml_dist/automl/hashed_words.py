"""Words of texts, hashed into features, as SQL expressions that run in the JVM."""

from __future__ import annotations

__all__ = ["hashed_words", "number_of_words"]

# Letters and digits of any script.
_BETWEEN_WORDS = r"r'[^\p{L}\p{N}]+'"


def _words(source: str) -> str:
    split = f"split(lower(coalesce({source}, '')), {_BETWEEN_WORDS})"
    return f"filter({split}, word -> word <> '')"


def hashed_words(source: str, width: int, ngram: int = 2) -> str:
    """Return an SQL expression of how often words and pairs of words occur, hashed into features.

    Parameters
    ----------
    source : str
        SQL expression of a text; null is a text without words.
    width : int
        Number of features. The feature of a word, or of two words joined by a blank, is the
        remainder of its XXH64 with seed 42 (Spark's ``xxhash64``, signed) by this.
    ngram : {1, 2}
        Whether pairs of neighbouring words count too.

    Returns
    -------
    str
        Of type ``array<float>`` of `width` numbers.

    References
    ----------
    Weinberger, Dasgupta, Langford, Smola, Attenberg (2009), "Feature hashing for large scale
    multitask learning".
    """
    grams = "words"
    if ngram > 1:
        pairs = (
            "transform(sequence(1, size(words) - 1), i -> concat_ws(' ', words[i - 1], words[i]))"
        )
        grams = f"if(size(words) > 1, concat(words, {pairs}), words)"
    codes = f"transform({grams}, gram -> cast(pmod(xxhash64(gram), {width}L) as int))"
    count = "cast(size(codes) - size(array_remove(codes, at)) as float)"
    counts = f"transform(sequence(0, {width - 1}), at -> {count})"
    # A lambda's variable is computed once, an expression wherever it stands.
    inner = f"transform(array({codes}), codes -> {counts})[0]"
    return f"transform(array({_words(source)}), words -> {inner})[0]"


def number_of_words(source: str) -> str:
    """Return an SQL expression of the number of words of a text; null for null."""
    return f"if({source} is null, null, cast(size({_words(source)}) as double))"
