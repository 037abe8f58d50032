"""Members: learners fitted in tasks on parts of shards, stored, and combined in a vote."""
