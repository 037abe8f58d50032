"""Inference: probabilities of some variables, given others."""
