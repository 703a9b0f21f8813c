"""Pure functions from raw inputs to parts of a profile."""
