"""The verification code that the Secret screen offers is run, not only shown."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hooktui.console.how_to_verify import SECRET_VARIABLE, snippets
from hooktui.domain.signatures import HASHES, HashName, hook_signature, make_secret

BODY = '{"id":1,"name":"é \\u0000 naïve"}\n'.encode()
SECRET = make_secret()


def code(language: str, signature_hash: str) -> str:
    return next(s.code for s in snippets(signature_hash) if s.language == language)


def run(command: list[str], folder: Path, **variables: str) -> str:
    done = subprocess.run(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], SECRET_VARIABLE: SECRET, **variables},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def cases(signature_hash: HashName) -> list[tuple[str, bool]]:
    right = hook_signature(SECRET, BODY, signature_hash)
    return [(right, True), (right[:-1] + ("0" if right[-1] != "0" else "1"), False), ("", False)]


@pytest.mark.parametrize("signature_hash", HASHES)
def test_the_python_code_takes_our_signature_and_no_other(
    signature_hash: HashName, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_VARIABLE, SECRET)
    names: dict[str, object] = {}
    exec(code("Python", signature_hash), names)
    verify = names["verify"]
    assert callable(verify)
    for signature, valid in [*cases(signature_hash), ("é", False)]:
        assert verify(BODY, signature) is valid


@pytest.mark.parametrize("signature_hash", HASHES)
def test_the_shell_code_takes_our_signature_and_no_other(
    signature_hash: HashName, tmp_path: Path
) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl here")
    (tmp_path / "body.json").write_bytes(BODY)
    (tmp_path / "verify.sh").write_text(code("Shell", signature_hash))
    for signature, valid in cases(signature_hash):
        answer = run(["sh", "verify.sh"], tmp_path, SIGNATURE=signature)
        assert answer == ("valid" if valid else "invalid")


@pytest.mark.parametrize("signature_hash", HASHES)
def test_the_node_code_takes_our_signature_and_no_other(
    signature_hash: HashName, tmp_path: Path
) -> None:
    if shutil.which("node") is None:
        pytest.skip("no node here")
    (tmp_path / "body.json").write_bytes(BODY)
    (tmp_path / "verify.js").write_text(code("Node", signature_hash))
    (tmp_path / "main.js").write_text(
        'const { verify } = require("./verify.js");\n'
        'const body = require("node:fs").readFileSync("body.json");\n'
        "console.log(verify(body, process.argv[2]));\n"
    )
    for signature, valid in cases(signature_hash):
        assert run(["node", "main.js", signature], tmp_path) == str(valid).lower()


@pytest.mark.parametrize("signature_hash", HASHES)
def test_the_ruby_code_takes_our_signature_and_no_other(
    signature_hash: HashName, tmp_path: Path
) -> None:
    if shutil.which("ruby") is None:
        pytest.skip("no ruby here")
    (tmp_path / "body.json").write_bytes(BODY)
    (tmp_path / "verify.rb").write_text(
        code("Ruby", signature_hash) + 'puts verify(File.binread("body.json"), ARGV[0])\n'
    )
    for signature, valid in cases(signature_hash):
        assert run(["ruby", "verify.rb", signature], tmp_path) == str(valid).lower()


@pytest.mark.parametrize("signature_hash", HASHES)
def test_the_go_code_compiles_and_takes_our_signature(
    signature_hash: HashName, tmp_path: Path
) -> None:
    if shutil.which("go") is None:
        pytest.skip("no go here")
    (tmp_path / "body.json").write_bytes(BODY)
    (tmp_path / "verify.go").write_text(
        code("Go", signature_hash).replace("package receiver", "package main", 1)
        + 'func main() { b, _ := os.ReadFile("body.json"); println(Verify(b, os.Args[1])) }\n'
    )
    run(
        ["go", "build", "-o", "verify", "verify.go"],
        tmp_path,
        HOME=str(tmp_path),
        GOCACHE=str(tmp_path / "cache"),
        GOFLAGS="-mod=mod",
    )
    for signature, valid in cases(signature_hash):
        done = subprocess.run(
            ["./verify", signature],
            cwd=tmp_path,
            env={SECRET_VARIABLE: SECRET},
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
        assert done.stderr.strip() == str(valid).lower()


def test_no_code_holds_the_secret_and_every_one_reads_it_from_the_environment() -> None:
    for snippet in snippets("sha256"):
        assert SECRET_VARIABLE in snippet.code
        assert "whsec_" not in snippet.code


def test_every_language_of_the_console_is_there_and_made_for_the_hash_of_the_hook() -> None:
    for name in HASHES:
        made = snippets(name)
        assert [s.language for s in made] == ["Python", "Node", "Go", "Ruby", "Shell"]
        assert all(name in s.code.lower() for s in made)
