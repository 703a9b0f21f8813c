"""The commands with their arguments, sorted by what they are about. Imports nothing that takes time."""
