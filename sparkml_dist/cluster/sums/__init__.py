"""Sums of arrays over shards, partitions and groups, bit-identical on every run."""
