"""The programs that run a model, behind one Protocol."""
