"""Independent tasks, sums over shards, and gangs on Spark's executors."""
