"""Models put together from silos' members or sums: bags, boosted trees, naive Bayes, k-means."""
