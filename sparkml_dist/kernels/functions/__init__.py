"""Kernels: how alike two rows are, one family to a file."""
