"""Training data: one typed example, whatever it was read from; readers, writers, labels, checks, splits, corpora."""
