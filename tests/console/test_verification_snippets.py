"""The verification code that the Secret screen offers is run, not only shown."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hooktui.console.hooks.verification_snippets import SECRET_VARIABLE, snippets
from hooktui.domain.signatures import (
    HASHES,
    HashName,
    hook_signature,
    make_secret,
    standard_key,
    standard_signature,
)

BODY = '{"id":1,"name":"é \\u0000 naïve"}\n'.encode()
SECRET = make_secret()
OTHER_FORM = "It's a Secret to Everybody"
EVENT = "evt_0000000000001"


def code(language: str, signature_hash: str = "sha256") -> str:
    return snippets(signature_hash)[language]


def run(command: list[str], folder: Path, secret: str, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], SECRET_VARIABLE: secret, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def signed(age_s: int = 0, secret: str = SECRET) -> tuple[str, str]:
    """Return a timestamp of that age, and webhook-signature for it."""
    key = standard_key(secret)
    assert key is not None
    moment = int(time.time()) - age_s
    return str(moment), standard_signature(key, EVENT, moment, BODY)


# (webhook-id, webhook-timestamp, webhook-signature, what the code says); made when a test runs,
# for the timestamps are those of now. Red when a line of the code is left out: the age, its other
# direction, the id, the rotation, the form of the timestamp.
def standard_cases() -> list[tuple[str, str, str, str]]:
    now, right = signed()
    old, of_old = signed(age_s=301 + 60)
    ahead, of_ahead = signed(age_s=-301 - 60)
    older, of_older = signed(age_s=200)
    _, of_other = signed(secret=make_secret())
    return [
        (EVENT, now, right, "valid"),
        (EVENT, older, of_older, "valid"),
        (EVENT, now, f"{of_other} {right}", "valid"),
        (EVENT, old, of_old, "stale"),
        (EVENT, ahead, of_ahead, "stale"),
        (EVENT, now, of_old, "invalid"),
        (EVENT, now, of_other, "invalid"),
        ("evt_0000000000002", now, right, "invalid"),
        (EVENT, now, "", "invalid"),
        (EVENT, now, right.removeprefix("v1,"), "invalid"),
        (EVENT, "", right, "invalid"),
        (EVENT, "soon", right, "invalid"),
        (EVENT, "x[$(touch pwned)]", right, "invalid"),
        (EVENT, "9" * 5000, right, "invalid"),
    ]


def body_cases(signature_hash: HashName) -> list[tuple[str, bool]]:
    right = hook_signature(OTHER_FORM, BODY, signature_hash)
    return [(right, True), (right[:-1] + ("0" if right[-1] != "0" else "1"), False), ("", False)]


def python_functions(
    signature_hash: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> dict[str, object]:
    monkeypatch.setenv(SECRET_VARIABLE, secret)
    names: dict[str, object] = {}
    exec(code("Python", signature_hash), names)
    return names


def test_the_python_code_takes_a_recent_webhook_signature_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verify = python_functions("sha256", SECRET, monkeypatch)["verify"]
    assert callable(verify)
    for message_id, timestamp, signatures, says in standard_cases():
        answer = verify(BODY, message_id, timestamp, signatures)
        assert answer is (says == "valid"), (timestamp[:30], signatures)
    assert verify(BODY, EVENT, "\u0661\u0662", "v1,\u00e9") is False


def test_the_python_code_refuses_a_secret_of_another_form(monkeypatch: pytest.MonkeyPatch) -> None:
    verify = python_functions("sha256", OTHER_FORM, monkeypatch)["verify"]
    assert callable(verify)
    with pytest.raises(ValueError, match="use verify_body"):
        verify(BODY, EVENT, *signed())


@pytest.mark.parametrize("signature_hash", HASHES)
def test_the_python_code_takes_our_x_hook_signature_and_no_other(
    signature_hash: HashName, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = python_functions(signature_hash, OTHER_FORM, monkeypatch)["verify_body"]
    assert callable(verify)
    for signature, valid in [*body_cases(signature_hash), ("é", False)]:
        assert verify(BODY, signature) is valid


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "body.json").write_bytes(BODY)
    return tmp_path


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"no {program} here")


def test_the_shell_code_takes_a_recent_webhook_signature_only(folder: Path) -> None:
    needs("openssl")
    (folder / "verify.sh").write_text(code("Shell"))
    for message_id, timestamp, signatures, says in standard_cases():
        given = {"ID": message_id, "TIMESTAMP": timestamp, "SIGNATURES": signatures}
        assert run(["sh", "verify.sh"], folder, SECRET, **given) == says, given
        assert not (folder / "pwned").exists()


@pytest.mark.parametrize("signature_hash", HASHES)
def test_the_shell_code_takes_our_x_hook_signature_and_no_other(
    signature_hash: HashName, folder: Path
) -> None:
    needs("openssl")
    (folder / "verify.sh").write_text(code("Shell", signature_hash))
    for signature, valid in body_cases(signature_hash):
        answer = run(["sh", "verify.sh"], folder, OTHER_FORM, SIGNATURE=signature)
        assert answer == ("valid" if valid else "invalid")


def compare(command: list[str], folder: Path) -> None:
    """Run a program that prints one line for the webhook-signature of its three arguments."""
    for message_id, timestamp, signatures, says in standard_cases():
        answer = run([*command, message_id, timestamp, signatures], folder, SECRET)
        assert answer == str(says == "valid").lower(), (timestamp[:30], signatures)


def test_the_node_code_takes_a_recent_webhook_signature_only(folder: Path) -> None:
    needs("node")
    (folder / "verify.js").write_text(code("Node"))
    (folder / "main.js").write_text(
        'const { verify } = require("./verify.js");\n'
        'const body = require("node:fs").readFileSync("body.json");\n'
        "console.log(verify(body, ...process.argv.slice(2)));\n"
    )
    compare(["node", "main.js"], folder)


def test_the_ruby_code_takes_a_recent_webhook_signature_only(folder: Path) -> None:
    needs("ruby")
    (folder / "verify.rb").write_text(
        code("Ruby") + 'puts verify(File.binread("body.json"), *ARGV)\n'
    )
    compare(["ruby", "verify.rb"], folder)


def test_the_php_code_takes_a_recent_webhook_signature_only(folder: Path) -> None:
    needs("php")
    (folder / "verify.php").write_text(
        code("PHP")
        + 'echo json_encode(verify(file_get_contents("body.json"), ...array_slice($argv, 1)));\n'
    )
    compare(["php", "verify.php"], folder)


def test_the_go_code_takes_a_recent_webhook_signature_only(folder: Path) -> None:
    needs("go")
    compare(go_program("sha256", folder), folder)


def go_program(signature_hash: HashName, folder: Path) -> list[str]:
    """Compile a program that checks `X-Hook-Signature` if it gets one argument."""
    (folder / "verify.go").write_text(
        code("Go", signature_hash)
        .replace("package receiver", "package main", 1)
        .replace('"os"', '"fmt"\n\t"os"', 1)
        + "func main() {\n"
        + '\tb, _ := os.ReadFile("body.json")\n'
        + "\tif len(os.Args) == 2 {\n\t\tfmt.Println(VerifyBody(b, os.Args[1]))\n\t\treturn\n\t}\n"
        + "\tfmt.Println(Verify(b, os.Args[1], os.Args[2], os.Args[3]))\n}\n"
    )
    cache = folder.parent / "go-cache"  # of all tests of a worker: the library is compiled once
    build = {"HOME": str(folder), "GOCACHE": str(cache), "GOFLAGS": "-mod=mod"}
    run(["go", "build", "-o", "verify", "verify.go"], folder, SECRET, **build)
    return ["./verify"]


MAINS = {
    "Node": (
        "node",
        'console.log(verifyBody(require("fs").readFileSync("body.json"), process.argv[2]));\n',
    ),
    "Ruby": ("ruby", 'puts verify_body(File.binread("body.json"), ARGV[0])\n'),
    "PHP": ("php", 'echo json_encode(verify_body(file_get_contents("body.json"), $argv[1]));\n'),
}
"""By language: its program, and a line that prints whether a signature of the body is right."""


def body_program(language: str, signature_hash: HashName, folder: Path) -> list[str]:
    """Return a program that prints whether its argument is the `X-Hook-Signature` of the body."""
    if language == "Go":
        needs("go")
        return go_program(signature_hash, folder)
    program, main = MAINS[language]
    needs(program)
    (folder / "verify").write_text(code(language, signature_hash) + main)
    return [program, "verify"]


@pytest.mark.parametrize("signature_hash", HASHES)
@pytest.mark.parametrize("language", [*MAINS, "Go"])
def test_code_takes_our_x_hook_signature_and_no_other(
    language: str, signature_hash: HashName, folder: Path
) -> None:
    command = body_program(language, signature_hash, folder)
    for signature, valid in body_cases(signature_hash):
        assert run([*command, signature], folder, OTHER_FORM) == str(valid).lower()


GUESSES = (None, "", "whsec_", "changeme")
"""What a variable holds whose secret is missing."""


@pytest.mark.parametrize("language", ["Python", "Shell", *MAINS, "Go"])
def test_no_code_takes_a_signature_by_what_everybody_knows(language: str, folder: Path) -> None:
    """Red when an empty secret, or a prefix without one, is a key."""
    if language in ("Python", "Shell"):
        interpreter = {"Python": sys.executable, "Shell": "sh"}[language]
        main = f"import sys\nprint(verify_body({BODY!r}, sys.argv[1]))\n"
        (folder / "verify").write_text(code(language) + (main if language == "Python" else ""))
        command = [interpreter, "verify"]
    else:
        command = body_program(language, "sha256", folder)
    for secret in GUESSES:
        forged = hook_signature(secret or "", BODY, "sha256")
        environ = {"PATH": os.environ["PATH"], "SIGNATURE": forged}
        environ |= {} if secret is None else {SECRET_VARIABLE: secret}
        done = subprocess.run(
            [*command, forged], cwd=folder, env=environ, capture_output=True, text=True, check=False
        )
        assert done.stdout.strip() in ("", "false", "False", "invalid"), secret


def test_a_prefix_alone_is_no_secret_of_webhook_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verify = python_functions("sha256", "whsec_", monkeypatch)["verify"]
    assert callable(verify)
    moment = int(time.time())
    with pytest.raises(ValueError, match="anybody could guess it"):
        verify(BODY, EVENT, str(moment), standard_signature(b"", EVENT, moment, BODY))


def test_no_code_holds_the_secret_and_every_one_reads_it_from_the_environment() -> None:
    for code in snippets("sha256").values():
        assert SECRET_VARIABLE in code
        assert SECRET not in code


# Red when X-Hook-Signature, whose request can be captured and sent again for ever, is taught first.
def test_every_language_is_there_teaches_webhook_signature_first_and_fits_the_hash() -> None:
    for name in HASHES:
        made = snippets(name)
        assert list(made) == ["Python", "Node", "Go", "Ruby", "PHP", "Shell"]
        for code in made.values():
            assert name in code.lower()
            assert "@" not in code
            assert code.index("webhook-id") < code.index("X-Hook-Signature")
            assert "300" in code
