"""Pure values and decisions: no Qt, no network, no subprocess, no clock, no environment."""
