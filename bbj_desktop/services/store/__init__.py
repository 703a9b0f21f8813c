"""The versions on this machine."""
