"""Models and data at rest: manifests with hashes, files at any URI, no pickle."""
