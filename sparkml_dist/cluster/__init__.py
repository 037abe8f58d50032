"""The engine room: independent tasks and gangs on Spark's executors."""
