"""Runtimes, the gateway, settings and the program itself."""

from __future__ import annotations

from bbj_desktop.cli.grammar.commands import Commands


def declare_engine(commands: Commands) -> None:
    engine = commands.group("engine", "the embedded engine, which all programs of a user share")
    engine.add("status", "engine:status", "show what runs, who uses it, and which model is in memory")
    engine.add("stop", "engine:stop", "end it, whoever uses it; the next question starts a new one")
    engine.add("logs", "engine:logs", "show the last lines of its logs")
    ollama = commands.group("ollama", "the Ollama of this machine")
    ollama.add("status", "ollama:status", "show who runs it, how, where its models lie and what is loaded")
    ollama.add("start", "ollama:start", "start the one that is installed, and wait until it answers")
    ollama.add("stop", "ollama:stop", "end the one that this program started; never another one")
    gateway = commands.group("gateway", "an address on this machine where IDEs reach the embedded engine")
    start = gateway.add("start", "gateway:start", "open it; it stays open until it is stopped or you log out")
    start.add_argument("--renew-key", action="store_true", help="make a new key; IDEs need the new one from now on")
    gateway.add("stop", "gateway:stop", "close it")
    status = gateway.add("status", "gateway:status", "show whether it is open, and its address")
    for parser in (start, status):
        parser.add_argument("--show-key", action="store_true", help="print the key that IDEs must send")


def declare_rest(commands: Commands) -> None:
    settings = commands.group("settings", "see what is set, and by whom")
    settings.add("show", "settings:show", "list every setting, its value and where it comes from")
    commands.add("purge", "purge:purge", "list, then remove everything of ours on this machine")
    demo = commands.add(
        "demo",
        "demo:demo",
        "try the whole line with a small stand-in model and a throw-away registry",
        description="Publishes a small stand-in model (not a BBj model) into a throw-away signed registry on this\n"
        "machine, then does what a customer does: detect, recommend, download, verify, register, ask.\n"
        "Leaves nothing outside its own folder.",
    )
    demo.add_argument("--ollama", action="store_true", help="register with the Ollama that answers here")
    demo.add_argument("--model", metavar="GGUF", help="another GGUF than the packaged stand-in")
    demo.add_argument("--folder", metavar="DIR", help="where to work; default: a temporary folder, removed afterwards")
