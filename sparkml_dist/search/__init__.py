"""Search of hyper-parameters and learners: trials on shards, of which the better ones get more."""
