"""Sequential patterns, and the sequences and baskets that event tables hold."""
