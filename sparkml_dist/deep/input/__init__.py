"""The input pipeline: from shards to a rank's batches."""
