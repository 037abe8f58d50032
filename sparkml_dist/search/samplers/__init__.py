"""Samplers: which values of the parameters a trial has."""
