"""Counts of families of variables: exact sums over the rows of shards or of a DataFrame."""
