"""Files that spark-submit runs. Their folder comes first on the path, so none hides a module."""
