"""The trainer's command line. ``parser.GROUPS`` names every command; ``data check`` lives in
``trainer/cli/data_check.py``, which is imported when it is called and has two functions::

    def declare(parser: argparse.ArgumentParser) -> None: ...        # adds its arguments
    def run(arguments: argparse.Namespace, screen: Screen) -> Outcome: ...
"""
