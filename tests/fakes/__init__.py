"""Small real servers and programs that behave as their originals were seen to."""
