"""Keras networks that learn values and policies from transitions; only for ranks."""
