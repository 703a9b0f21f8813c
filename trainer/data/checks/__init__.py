"""The checks of ``data check``, a module a family. What a check says of one example is a ``Problem``."""
