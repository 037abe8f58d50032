"""AdaBoost over shards: with global weights, and without communication."""
