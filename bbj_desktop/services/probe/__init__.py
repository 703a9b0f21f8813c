"""Finds out what this machine is."""
