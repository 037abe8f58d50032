"""The parts that the spark-submit jobs share: options, exit codes, metrics, output folders."""
