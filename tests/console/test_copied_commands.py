"""The copied commands do what they say: they are run."""

import json
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hooktui.client import calls
from hooktui.console.deliveries.document import as_check, as_curl
from hooktui.console.events.event_screen import as_emit
from hooktui.console.formatting import indented_json
from hooktui.domain.signatures import hook_signature, make_secret
from tests.console.client import Client
from tests.support.installation import PYTHON
from tests.support.receivers import receiving
from tests.support.waiting import wait_for
from tests.support.wire_objects import detail, request

ROOT = Path(__file__).parents[2]
NASTY = '{"a":"it\'s $HOME `id` \\\\ @x","b":"é\\n"}\n'


needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")


def run(command: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@needs_curl
@pytest.mark.parametrize("body", ['{"id":1}', NASTY, "@/etc/hostname", ""])
def test_the_curl_command_sends_the_same_request(body: str, tmp_path: Path) -> None:
    headers = (("Content-Type", "application/json"), ("X-It", "'quoted' $HOME"))
    with receiving() as receiver:
        url = receiver.url_of("/in?a='1'&b=2")
        done = run(as_curl(request(url=url, body=body, headers=headers)), tmp_path)
        assert done.returncode == 0, done.stderr
    [(path, sent, received, _)] = receiver.requests
    assert path == "/in?a='1'&b=2"
    assert sent["X-It"] == "'quoted' $HOME"
    assert received == body.encode()


@pytest.mark.parametrize("hash_name", ["sha1", "sha256", "sha512"])
def test_the_check_verifies_the_signature_with_our_command(hash_name: str, tmp_path: Path) -> None:
    secret = make_secret()
    (tmp_path / "secret.txt").write_text(secret)
    signature = hook_signature(secret, NASTY.encode(), hash_name)  # type: ignore[arg-type]
    one = request(body=NASTY, headers=(("X-Hook-Signature", signature),))
    command = as_check(one)
    assert command is not None
    assert secret not in command
    command = command.replace("hooktui verify", f"{PYTHON} -m hooktui verify")
    assert run(command, tmp_path).returncode == 0
    assert run(command.replace(signature, signature[::-1]), tmp_path).returncode == 1


def test_a_request_without_our_signature_has_no_check() -> None:
    assert as_check(request(headers=())) is None


def test_the_emit_command_sends_the_same_body_to_the_same_account(
    client: Client, tmp_path: Path
) -> None:
    # Red when it sends to the default account, which has other hooks.
    assert client.id != 1
    command = as_emit("job.failed", NASTY, client.id)
    command = command.replace("hooktui emit", f"{PYTHON} -m hooktui emit")
    assert run(command, tmp_path, **client.environ).returncode == 0
    (sent,) = client.ask(calls.list_events(client.id)).data
    assert client.ask(calls.get_event(sent.id)).body == NASTY


def test_the_json_form_is_the_object_of_the_api() -> None:
    made = json.loads(indented_json(detail()))
    assert made["id"] == "dlv_0000000000001"
    assert made["attempts"][0]["phases_ms"]["total"] == 100.0


def valid_in(heard: list[str]) -> int:
    """How many signatures the receiver found right; each request carries two."""
    assert not any("MISMATCH" in line for line in heard), heard
    return sum(line.rstrip().endswith("signature: ok") for line in map(str.lower, heard))


@needs_curl
def test_both_commands_work_on_a_real_delivery_against_our_receiver(
    client: Client, tmp_path: Path
) -> None:
    # Red when the copied request is not byte by byte what was sent, so that it does not verify.
    secret = make_secret()
    (tmp_path / "secret.txt").write_text(secret)
    listen = subprocess.Popen(
        [sys.executable, "-m", "hooktui", "listen", "--port", "0", "--secret",
         f"@{tmp_path / 'secret.txt'}"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    heard: list[str] = []
    assert listen.stdout is not None
    reader = threading.Thread(target=heard.extend, args=(listen.stdout,))
    reader.start()
    try:
        wait_for(lambda: any("http://127.0.0.1:" in line for line in heard))
        port = re.search(r"http://127\.0\.0\.1:(\d+)", "".join(heard))
        assert port is not None
        hook = client.hook(f"http://127.0.0.1:{port[1]}/in", secret=secret)
        client.emit(body=NASTY.encode())
        wait_for(lambda: client.deliveries(hook.id, "delivered"))
        one = client.ask(calls.get_delivery(client.deliveries(hook.id)[0].id))
        wait_for(lambda: valid_in(heard) == 2)
        done = run(as_curl(one.request), tmp_path)
        assert (done.returncode, done.stdout.split()[1]) == (0, "200"), done
        wait_for(lambda: valid_in(heard) == 4)
        check = as_check(one.request)
        assert check is not None
        check = check.replace("hooktui verify", f"{PYTHON} -m hooktui verify")
        assert run(check, tmp_path).returncode == 0
    finally:
        listen.terminate()
        listen.wait(10)
        reader.join(10)
