"""What a workflow orchestrator has to know of the jobs: options, exit statuses, metrics."""
