"""Models as vectors of parameters, and how a silo trains them on its own rows."""
