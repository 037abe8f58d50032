"""Gradient boosting over shards, with any regressor as the learner of its stages."""
