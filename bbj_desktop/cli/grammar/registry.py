"""``registry``: trusting one, publishing, staging and signing."""

from __future__ import annotations

import argparse

from bbj_desktop.cli.grammar.commands import Commands, add_clock, add_keys, number


def declare_registry(commands: Commands) -> None:
    registry = commands.group("registry", "trust a registry; create one and publish to it")
    add = registry.add("add", "registries:add", "trust a registry, after comparing its fingerprint")
    add.add_argument("address", metavar="ADDRESS", help="http(s)://…, hf://…, file://… or a folder")
    add.add_argument("--root", metavar="FILE", help="its root file, from a safe place; default: the registry's own")
    add.add_argument("--fingerprint", metavar="DIGEST", help="the fingerprint it must have; asks no question")
    add_offline(add)
    registry.add("show", "registries:show", "list the trusted registries")
    root = registry.add("root", "registries:root", "show what a root file says: fingerprint, keys, expiry")
    root.add_argument("file", metavar="FILE", help="a root file, e.g. 1.root.json")
    forget = registry.add("forget", "registries:forget", "stop trusting a registry; installed versions stay")
    forget.add_argument("address", metavar="ADDRESS")
    mirror = registry.group("mirror", "more addresses of the registry in use")
    for action, what in (("add", "read the registry from there, too"), ("remove", "don't read it from there any more")):
        parser = mirror.add(action, f"registries:{action}_mirror", what)
        kinds = "http(s)://…, hf://…, file://…, a folder, or ollama://… for bytes that Ollama pulls"
        parser.add_argument("address", metavar="ADDRESS", help=kinds)
        if action == "add":
            add_offline(parser)
    login = registry.add("login", "login:login", "keep a token or password for its server in the keyring")
    logout = registry.add("logout", "login:logout", "remove that token or password")
    for parser in (login, logout):
        parser.add_argument(
            "address", nargs="?", metavar="ADDRESS", help="https://… or hf://…; default: the one in use"
        )
    create = registry.add("create", "registry:create", "create an empty registry and its encrypted keys")
    publish = registry.add("publish", "registry:publish", "sign and publish a release")
    publish.add_argument("draft", metavar="DRAFT", help="the release's description (JSON), beside its GGUF files")
    publish.add_argument("--to", default="beta", metavar="CHANNEL", help="channel (default beta)")
    publish.add_argument(
        "--max-file-size",
        default="50GB",
        metavar="SIZE",
        help="split models into files of at most this size (default 50GB, as the Hugging Face Hub takes them)",
    )
    publish.add_argument(
        "--ollama-mirror",
        action="append",
        metavar="NAME",
        help="where Ollama may pull its bytes from, too: ollama://[host/]namespace/name[:tag]; may be repeated; none: "
        "nowhere any more",
    )
    declare_extras_of_makers(registry)
    refresh = registry.add("refresh", "registry:refresh", "sign a new timestamp, so that clients see it is current")
    promote = registry.add("promote", "registry:promote", "take a release from beta over to stable")
    withdraw = registry.add("withdraw", "registry:withdraw", "never offer a release again; installed ones are flagged")
    for parser in (promote, withdraw):
        parser.add_argument("--role", choices=("chat", "fim"), default="chat", help="the release's role (default chat)")
        parser.add_argument("release", metavar="RELEASE", help="e.g. bbj-coder:2026.1-7b, as registry publish says it")
    for parser in (publish, promote):
        parser.add_argument("--tiers", metavar="FILE", help="a tier table (JSON) that replaces the channel's own")
    withdraw.add_argument("--reason", required=True, help="why; shown to whoever has it installed")
    withdraw.add_argument("--to", default="stable", metavar="CHANNEL", help="channel (default stable)")
    renew = registry.add("renew", "signing:renew", "sign root, targets or channels anew, before their time is over")
    renew.add_argument("role", nargs="+", metavar="ROLE", help="root, targets, stable, beta")
    declare_signing(registry)
    for parser in (publish, promote, withdraw, renew):
        parser.add_argument(
            "--stage", metavar="DIR", help="a new folder: others shall sign it there, nothing is published"
        )
    for parser in (create, publish, refresh, promote, withdraw, renew):
        parser.add_argument("--folder", required=True, metavar="DIR", help="the registry's folder")
        add_keys(parser, required=parser in (create, refresh))
    for parser in (publish, refresh, promote, withdraw, renew):
        add_clock(parser)


def declare_extras_of_makers(registry: Commands) -> None:
    add = registry.add("add-extra", "extras:add", "sign an installer or IDE extension into a channel's catalogue")
    add.add_argument("file", metavar="FILE", help="the file; customers get it verified, and nothing runs it")
    add.add_argument("--name", required=True, metavar="NAME", help="what of, e.g. ollama")
    add.add_argument(
        "--kind", required=True, choices=("ollama-installer", "app-installer", "ide-extension"), help="what it is"
    )
    add.add_argument("--platform", default="any", metavar="PLATFORM", help="e.g. windows-x86_64 (default any)")
    add.add_argument("--version", required=True, metavar="VERSION", help="its makers' own, e.g. 0.33.1")
    add.add_argument("--note", default="", metavar="TEXT", help="what to do with it, a sentence; default: by its kind")
    add.add_argument("--max-file-size", default="50GB", metavar="SIZE", help="split it into files of at most this size")
    remove = registry.add("remove-extra", "extras:remove", "take an extra out of a channel's catalogue")
    remove.add_argument("key", metavar="EXTRA", help="as registry list-extras shows it: ollama-0.33.1-windows-x86_64")
    show = registry.add("list-extras", "extras:list_signed", "list the extras of a registry's folder")
    for parser in (add, remove, show):
        parser.add_argument("--to", default="stable", metavar="CHANNEL", help="channel (default stable)")
        parser.add_argument("--folder", required=True, metavar="DIR", help="the registry's folder")
    for parser in (add, remove):
        parser.add_argument("--stage", metavar="DIR", help="a new folder: others shall sign it there")
        add_keys(parser, required=False)
        add_clock(parser)


def declare_signing(registry: Commands) -> None:
    stage = registry.add("stage", "signing:stage", "show what a stage changes, and who has signed it")
    sign = registry.add("sign", "signing:sign", "add your signatures to a stage, after showing what they are for")
    merge = registry.add("merge", "signing:merge", "put the signatures of several copies of a stage together")
    live = registry.add("publish-staged", "signing:publish_staged", "make a stage visible that enough people signed")
    for parser in (stage, sign, merge, live):
        parser.add_argument("stage", metavar="STAGE", help="the stage's folder")
    merge.add_argument("others", nargs="+", metavar="COPY", help="copies of it that others signed")
    rotate = registry.add("rotate", "signing:rotate", "stage a change of the keys that may sign for a role")
    rotate.add_argument("role", metavar="ROLE", help="root, targets, snapshot, timestamp, stable, beta")
    rotate.add_argument(
        "--add", action="append", default=[], metavar="FILE", help="a new key's file.pub; may be repeated"
    )
    rotate.add_argument("--remove", action="append", default=[], metavar="KEYID", help="a key, or its first digits")
    rotate.add_argument("--threshold", type=number(int, 1, 16), metavar="N", help="how many must sign from now on")
    rotate.add_argument("--stage", required=True, metavar="DIR", help="a new folder for the stage")
    key = registry.add("key", "signing:key", "make a key of your own for a role")
    key.add_argument("role", metavar="ROLE", help="root, targets, snapshot, timestamp, stable, beta")
    status = registry.add(
        "status", "signing:status", "how long each role is still good; ends with 1 if one isn't for long"
    )
    for parser in (live, rotate, status):
        parser.add_argument("--folder", required=True, metavar="DIR", help="the registry's folder")
    for parser in (sign, live, key):
        add_keys(parser, required=True)
    for parser in (live, rotate):
        add_clock(parser)
    verify = registry.add("verify", "signing:verify", "read a whole mirror and compare it with what is signed")
    verify.add_argument("address", metavar="ADDRESS", help="http(s)://…, hf://…, file://… or a folder")
    verify.add_argument("--root", metavar="FILE", help="the trusted root file; default: the mirror's own")


def add_offline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--offline",
        action="store_true",
        help="nobody refreshes it every few days: --bundle-expiry decides about expiry",
    )
