"""The command ``sparkml-dist``: jobs by name; installs, packs and inspects environments."""
