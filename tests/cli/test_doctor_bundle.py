"""``doctor --bundle``: what is planted must not be found in any byte of the archive."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from bbj_desktop.cli.results.machine import DoctorResult
from bbj_desktop.services.local_key import local_key
from bbj_desktop.services.redacting import Redactor, hosts_in
from tests.cli.conftest import Call
from tests.fakes.ollama import FakeOllama, Fault

USER, HOST = "Jörg.Müller", "laptop-des-chefs"
PROMPT = "How do I PRINT the payroll of Geheimdienst GmbH?"
PLANTED = (
    USER,
    USER.lower(),
    "J\\u00f6rg",
    HOST,
    "intranet-registry",
    "proxy-pass",
    "proxyuser",
    "ollama-key-123456",
    "hf_abcdefghijklmnop",
    "payroll",
    "Geheimdienst",
    "chef@firma.example",
    "192.168.17.42",
    "fd00:1234::7",
    "PRIVATE KEY",
    "MIIEvgIBADANBgkq",
)


def every_text(path: Path) -> str:
    """The archive's own bytes, its names and all that is packed in it."""
    with zipfile.ZipFile(path) as archive:
        parts = [archive.read(name) for name in archive.namelist()]
        names = " ".join(archive.namelist())
    return "\n".join([names, path.read_bytes().decode("latin-1"), *(part.decode("utf-8") for part in parts)])


@pytest.fixture
def planted(customer: Call, data: Path, tmp_path: Path, ollama: FakeOllama, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Secrets, names and prompts wherever they could get into; returns where the archive is to be written."""
    assert customer("install", "7b-q4_0").code == 0
    home = tmp_path / "home" / USER
    home.mkdir(parents=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr("getpass.getuser", lambda: USER)
    monkeypatch.setattr("socket.gethostname", lambda: f"{HOST}.firma.example")
    monkeypatch.setenv("OLLAMA_API_KEY", "ollama-key-123456")
    monkeypatch.setenv("BBJ_DESKTOP_PROXY", "http://proxyuser:proxy-pass@192.168.17.42:3128")
    monkeypatch.setenv("BBJ_DESKTOP_REGISTRY", "https://intranet-registry.firma.example/bbj")
    monkeypatch.setenv("BBJ_DESKTOP_CA_FILE", str(home / "Zertifikate" / "ca.pem"))
    ollama.faults["/api/show"] = Fault("status", text=f"can't answer {PROMPT}")
    assert PROMPT in customer("ask", PROMPT).err
    logs = data / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    with (logs / "bbj-desktop.log").open("a", encoding="utf-8") as log:
        log.write(
            f"2026-11-22 10:00:00,000 1 CRITICAL bbj_desktop.cli.main: a bug ended ask\n"
            f"Traceback (most recent call last):\n"
            f'  File "/home/{USER}/bbj_desktop/cli/chat.py", line 7, in ask\n'
            f"    raise ValueError(text)\n"
            f"ValueError: {PROMPT}\n{PROMPT}\n    {PROMPT}\n"
            f"2026-11-22 10:00:01,000 1 ERROR x: for chef@firma.example on {HOST} [fd00:1234::7] hf_abcdefghijklmnop\n"
            f"2026-11-22 10:00:02,000 1 ERROR x: '{PROMPT} {PROMPT}' input_value='{PROMPT}', input_type=str\n"
            f"2026-11-22 10:00:03,000 1 ERROR x: C:\\Users\\{USER}\\x and https://{USER.lower()}@intranet-registry/\n"
        )
    key = "-----BEGIN PRIVATE KEY-----\nMIIEvgIBADANBgkq\n-----END PRIVATE KEY-----"
    (logs / "ollama.log").write_text(
        f'time=10 level=DEBUG msg="chat request" prompt="{PROMPT}"\nlistening on 192.168.17.42:11434\n{key}\n',
        encoding="utf-8",
    )
    return tmp_path / "Bericht für BASIS.zip"


def test_nothing_of_what_was_planted_is_in_any_byte(planted: Path, call: Call) -> None:
    called = call("doctor", "--bundle", planted, "--yes")
    assert called.code in (0, 1), called.err
    text = every_text(planted)
    assert [secret for secret in PLANTED if secret.lower() in text.lower()] == []


def test_what_helps_stays(planted: Path, call: Call) -> None:
    call("doctor", "--bundle", planted, "--yes")
    with zipfile.ZipFile(planted) as archive:
        errors = archive.read("errors.txt").decode()
        settings = json.loads(archive.read("settings.json"))
        versions = json.loads(archive.read("versions.json"))
        profile = json.loads(archive.read("profile.json"))
    assert "ValueError: …" in errors
    assert "cli/chat.py" in errors
    assert "ask ends: EngineRefusedError: Ollama refused to show bbj-coder:2026.1-7b-q4_0: …" in errors
    assert versions["models"][0]["key"] == "bbj-coder:2026.1-7b-q4_0"
    assert settings["proxy"]["origin"] == "environment"
    assert settings["ca_file"]["value"].startswith("~")
    assert versions["packages"]["httpx"]
    assert profile["memory"]["total_bytes"] > 0


def test_it_lists_what_is_inside_before_it_writes(planted: Path, call: Call) -> None:
    called = call("doctor", "--bundle", planted)
    assert called.code == 2  # nobody to ask
    assert not planted.exists()
    for name in ("profile.json", "settings.json", "versions.json", "errors.txt", "logs/ollama.log"):
        assert name in called.err


def test_the_result_names_the_archive_and_its_files(planted: Path, call: Call) -> None:
    result = DoctorResult.model_validate(call("doctor", "--bundle", planted, "--yes", "--json").result)
    assert result.bundle == planted
    with zipfile.ZipFile(planted) as archive:
        sizes = {entry.filename: entry.file_size for entry in archive.infolist()}
    assert sizes == {file.name: file.size_bytes for file in result.bundle_files}


def test_a_file_that_is_there_is_not_written_over(planted: Path, call: Call) -> None:
    planted.write_text("mine", encoding="utf-8")
    assert call("doctor", "--bundle", planted, "--yes").code == 2
    assert planted.read_text(encoding="utf-8") == "mine"


def test_a_folder_that_is_not_there_is_an_error(call: Call, tmp_path: Path) -> None:
    called = call("doctor", "--bundle", tmp_path / "nowhere" / "x.zip", "--yes")
    assert called.code == 7
    assert "can't be written" in called.err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/home/ada/x/y.gguf", "~/x/y.gguf"),
        ("C:\\Users\\Ada\\x", "~\\x"),
        ('"C:\\\\Users\\\\Ada\\\\x"', '"~\\\\x"'),
        ("/Users/ada", "~"),
        ("run by ADA, ada_x, adapter", "run by …user…, ada_x, adapter"),
        ("/srv/report_ada.txt and C:\\x\\Ada_1", "/srv/report_…user….txt and C:\\x\\…user…_1"),
        ("http://127.0.0.1:11434 and http://localhost:1", "http://127.0.0.1:11434 and http://localhost:1"),
        ("https://a.example/x, b.example:443, https://a.example", "https://host-1/x, host-2:443, https://host-1"),
        ("10.1.2.3 and version 0.33.0 at 12:30:45", "address-1 and version 0.33.0 at 12:30:45"),
        ("a.example is down; https://a.example", "host-1 is down; https://host-1"),
        ("Authorization: Bearer abc.def", "Authorization: Bearer …"),
        ('Proxy-Authorization: Digest username="x", y="z"', "Proxy-Authorization: …"),
        ("Set-Cookie: session=abc; Path=/", "Set-Cookie: …"),
        ('password: "two words", next', "password: …, next"),
        ("pwd=abc passwd=def", "pwd=… passwd=…"),
        ("https://a.example/x?X-Amz-Signature=ab%2F&X-Amz-Credential=c next", "https://host-1/x?… next"),
        ("file:///home/ada/x and C:\\Users\\Ada", "file://~/x and ~"),
        ("\\\\srv\\share, //srv2/share, a//b/c", "\\\\host-1\\share, //host-2/share, a//b/c"),
        ("scp root@box:/data and @param", "scp …mail…:/data and @param"),
        ("run by a\u0308da", "run by …user…"),
        ("the key is s3cr3t-key.", "the key is …secret…."),
    ],
)
def test_how_a_text_is_redacted(text: str, expected: str) -> None:
    assert Redactor(users=["ada", "äda"], secrets=["s3cr3t-key"]).text(text) == expected


def test_a_name_that_is_everybodys_word_goes_only_with_its_folder() -> None:
    redactor = Redactor(users=["home", "Root"], homes=["/srv/people/home", "/root"])
    text = "BBJ_HOME=/srv/people/home/bbj; at home /home/home/x, /root/y, /root-2, /srv/root"
    assert redactor.text(text) == "BBJ_HOME=~/bbj; at home ~/x, ~/y, /root-2, /srv/root"


def test_the_folder_of_a_user_is_not_the_beginning_of_another() -> None:
    assert Redactor(users=["ada"], homes=["/srv/ada"]).text("/srv/adalbert /srv/ada/x") == "/srv/adalbert ~/x"


def test_a_host_that_only_a_later_log_tells_goes_from_the_earlier_ones_too(
    planted: Path, call: Call, data: Path
) -> None:
    (data / "logs" / "a.log").write_text("no way to hidden-box today\n", encoding="utf-8")
    (data / "logs" / "z.log").write_text("GET https://hidden-box/x\n", encoding="utf-8")
    call("doctor", "--bundle", planted, "--yes")
    with zipfile.ZipFile(planted) as archive:
        assert archive.read("logs/a.log").decode().startswith("no way to host-")
    assert "hidden-box" not in every_text(planted)


def test_our_own_keys_and_the_environments_secrets_are_taken_out_wherever_they_stand(
    planted: Path, call: Call, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = local_key(data / "config" / "gateway.key")
    monkeypatch.setenv("BBJ_DESKTOP_TOKEN", "login-at-the-registry")
    with (data / "logs" / "bbj-desktop.log").open("a", encoding="utf-8") as log:
        log.write(f"2026-11-22 10:00:04,000 1 ERROR x: got {key} and login-at-the-registry\n")
    call("doctor", "--bundle", planted, "--yes")
    text = every_text(planted)
    assert key not in text
    assert "login-at-the-registry" not in text
    assert "x: got …secret… and …secret…" in text


def test_names_of_servers_are_found_in_addresses() -> None:
    found = hosts_in("https://user:pw@models.example/x", "gpu.example:11434", "/srv/x", "127.0.0.1", None)
    assert found == ("models.example", "gpu.example")
