"""``bundle`` and ``extras``."""

from __future__ import annotations

from bbj_desktop.cli.grammar.commands import Commands, add_choice


def declare_bundle(commands: Commands) -> None:
    bundle = commands.group("bundle", "carry models to machines without a network")
    export = bundle.add(
        "export",
        "bundle:export",
        "write models and all that is signed about them into a folder",
        description="Writes models and all that is signed about them into a folder: those named, or what this machine\n"
        "is recommended. Interrupted anywhere, the same command takes up where it ended.",
    )
    export.add_argument("folder", metavar="DIR", help="where to")
    export.add_argument("model", nargs="*", metavar="MODEL", help="e.g. 7b, bbj-coder:7b or bbj-coder:7b-q4_k_m")
    add_choice(export)
    export.add_argument("--all", action="store_true", help="every variant of the newest releases")
    export.add_argument("--profile", metavar="FILE", help="what the machine of this saved profile is recommended")
    export.add_argument(
        "--extras", action="append", default=[], metavar="EXTRA", help="these go along, see extras fetch; repeatable"
    )
    export.add_argument("--volume-size", metavar="SIZE", help="cut it into folders of at most this size, e.g. 4GB")
    take = bundle.add("import", "bundle:import_", "verify a bundle, or volumes in any order, and take over what is new")
    take.add_argument("folder", nargs="+", metavar="DIR", help="a bundle, a volume, or what they lie on")
    take.add_argument("--root", metavar="FILE", help="the registry's root file, if it isn't trusted yet")
    take.add_argument("--fingerprint", metavar="DIGEST", help="the fingerprint that root must have; asks no question")
    take.add_argument("--extras-folder", metavar="DIR", help="where extras go; default: extras in the data folder")
    take.add_argument("--install", action="store_true", help="install the best of it for this machine, too")
    take.add_argument("--allow-older", action="store_true", help="with --install: go back to an older release")


def declare_extras(commands: Commands) -> None:
    extras = commands.group("extras", "installers and IDE extensions that the registry signs")
    extras.add("list", "extras:list_", "list what the registry offers besides models")
    fetch = extras.add(
        "fetch",
        "extras:fetch",
        "download extras into a folder, verified; nothing is run",
        description="Downloads extras into a folder, verified. Nothing is run: what to do with each is said.\n"
        "Interrupted anywhere, the same command takes up where it ended.",
    )
    fetch.add_argument(
        "extra", nargs="+", metavar="EXTRA", help="all; or a name, kind, platform or version; ollama:windows-x86_64"
    )
    fetch.add_argument("--folder", metavar="DIR", help="where to; default: extras in the data folder")
