"""``doctor``, ``recommend``, and what is done with versions of models."""

from __future__ import annotations

from bbj_desktop.cli.grammar.commands import Commands, add_choice, number


def declare_machine(commands: Commands) -> None:
    doctor = commands.add(
        "doctor", "machine:doctor", "check machine, registry, network, store and runtimes; say what to do"
    )
    doctor.add_argument("--online", action="store_true", help="ask the registry even where update checks are off")
    doctor.add_argument("--bundle", metavar="FILE", help="write what was found, settings and logs into one ZIP archive")
    recommend = commands.add("recommend", "recommend:recommend", "show what this machine should get, and why")
    recommend.add_argument("--profile", metavar="FILE", help="decide for the machine of this saved profile")
    recommend.add_argument("--save-profile", metavar="FILE", help="save this machine's profile for somebody else")
    recommend.add_argument(
        "--concurrency", type=number(int, 1, 64), default=1, metavar="N", help="conversations at once (default 1)"
    )
    recommend.add_argument(
        "--explain", action="store_true", help="show the whole way to it: engine, route, context, memory, speed"
    )
    recommend.add_argument("--all", action="store_true", help="show every variant that is offered")
    add_choice(recommend)


def declare_versions(commands: Commands) -> None:
    install = commands.add(
        "install",
        "install:install",
        "download, verify and register a model",
        description="Downloads, verifies and registers models: those named, or what this machine is recommended.\n"
        "Interrupted anywhere, the same command takes up where it ended.",
    )
    install.add_argument("model", nargs="*", metavar="MODEL", help="e.g. 7b, bbj-coder:7b or bbj-coder:7b-q4_k_m")
    add_choice(install)
    install.add_argument("--version", metavar="VERSION", help="this release instead of the newest")
    install.add_argument("--force", action="store_true", help="install what this machine can't run, too")
    install.add_argument("--dry-run", action="store_true", help="show what would be fetched, and stop")
    install.add_argument("--explain", action="store_true", help="show by which way it gets into Ollama, and why")
    update = commands.add("update", "update:update", "install newer releases of what is active here")
    update.add_argument("--check", action="store_true", help="only ask: exit code 0 up to date, 20 update available")
    update.add_argument("--force", action="store_true", help="install what this machine can't run, too")
    commands.add("versions", "versions:versions", "list the installed versions")
    activate = commands.add("activate", "versions:activate", "make an installed version the one in use")
    activate.add_argument("version", metavar="VERSION", help="its key, or its beginning: 2026.1; or bbj-coder:7b")
    rollback = commands.add("rollback", "versions:rollback", "go back to the version that was active before")
    rollback.add_argument(
        "slot", nargs="?", metavar="MODEL", help="bbj-coder:7b or bbj-coder; default: the one that can go back"
    )
    commands.add(
        "connect",
        "ollama:connect",
        "use what an Ollama elsewhere has already, without installing anything",
        description="Looks at the Ollama of --ollama-host for versions that the registry offers, compares them with\n"
        "what was signed, and uses them from now on. Nothing is downloaded, nothing there is changed.",
    )
    pin = commands.add("pin", "versions:pin", "keep a version: no removal, no update in its place")
    unpin = commands.add("unpin", "versions:unpin", "lift the pin of a version")
    for parser in (pin, unpin):
        parser.add_argument("version", metavar="VERSION", help="its key, or its beginning: 2026.1; or bbj-coder:7b")
    verify = commands.add("verify", "repairing:verify", "read an installed model and compare it with what was signed")
    repair = commands.add(
        "repair",
        "repairing:repair",
        "fetch what of an installed model is damaged",
        description="Reads an installed model's file and fetches what of it isn't as it was signed, and no more.\n"
        "Interrupted anywhere, the file is as it was, and the same command takes up where it ended.",
    )
    for parser in (verify, repair):
        parser.add_argument("version", metavar="VERSION", help="its key, or its beginning: 2026.1; or bbj-coder:7b")
    commands.add("rebuild", "versions:rebuild", "restore records of installed versions from what verifies")
    remove = commands.add("remove", "versions:remove", "remove installed versions and free their space")
    remove.add_argument("version", nargs="+", metavar="VERSION", help="its key, or its beginning: 2026.1")
