"""Rules that make one update of the silos' updates, also where some of them lie."""
