"""From shards to the batches of a rank."""
