"""Brings bytes here: sources, ranges, resume, verification."""
