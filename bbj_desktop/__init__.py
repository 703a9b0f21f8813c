"""BBj Desktop: gets bbj-coder running on your own machine."""

__version__ = "0.1.0"
