"""The three formats that examples come in. Each module knows one: ``parse`` reads a record, ``dump`` writes one."""
