"""What the jobs for spark-submit share: options, exit codes, metrics, output folders."""
