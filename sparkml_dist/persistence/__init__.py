"""Saved models and data: manifests with checksums, files at any URI, no pickle."""
