"""Schedulers of trials: which one runs next, and with how much of the resource."""
