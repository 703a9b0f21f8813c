"""The one room that knows the registry's layout: trust, reading and publishing."""
