"""The engine's host: one detached process per user that owns the engine for window, command line and IDE."""
