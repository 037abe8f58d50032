"""Sequential patterns, and sequences and baskets from event tables."""
