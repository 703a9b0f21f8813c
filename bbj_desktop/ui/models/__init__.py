"""What the pages show, as values and as one watchable object."""
