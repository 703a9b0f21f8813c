"""The outside world behind small Protocols, one room each."""
