"""Sums of arrays over shards, partitions and groups, the same to the last bit each time."""
