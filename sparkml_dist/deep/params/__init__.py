"""Params of the Keras estimators."""
