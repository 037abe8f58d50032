"""Ridge regression on the similarities to centres, by sums over shards."""
