"""An installation where everything that others can write says something hostile."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.support.hostile_texts import BYTES, TEXTS, as_name, packed
from tests.support.installation import Installation
from tests.support.ports import free_port
from tests.support.waiting import wait_for
from tests.system.hostile_names import hostile_urls, resolver_for

MARKUP = "[/b][@click=app.quit]%s{0}{x!r}[/][link=https://evil.example]x[/link]\\["
"""What of the corpus is visible ASCII, for the places that take nothing else."""


def answers() -> list[bytes]:
    """Return what the receiver says, one answer after the other."""
    everything = "\n".join(TEXTS.values()).encode("utf-8", "surrogatepass")
    tree = json.dumps({"keys": TEXTS, "list": [*TEXTS.values()]}).encode()
    straight = json.dumps(
        {as_name(text): as_name(text) for text in TEXTS.values()}, ensure_ascii=False
    ).encode()
    bodies = [everything, tree, straight, b"\n".join(BYTES.values())]
    raw = [one if isinstance(one, bytes) else one.encode("utf-8", "surrogatepass")
           for one in (*TEXTS.values(), *BYTES.values())]  # fmt: skip
    raw = [one[:900].replace(b"\r", b"").replace(b"\n", b"") for one in raw]
    headers = [(b"X-Evil-%d" % number, one) for number, one in enumerate(raw)]
    said = [_answer(body=body[:16000]) for body in bodies]
    said += [
        _answer(b"200 OK", [(b"X-Markup", MARKUP.encode()), *headers[:48]], everything),
        _answer(b"200 " + b"".join(raw)[:1000], headers[48:], b"ok"),
    ]
    for one in raw:
        said.append(_answer(b"200 OK", [(b"X-Evil", one)], b"ok"))
        said.append(_answer(b"404 " + one, [], b"ok"))
        if len(said) % 3 == 0:  # or so many answers that are no HTTP would open the breaker
            said.append(_answer(body=b"ok"))
    said += [
        _answer(b"302 Found", [(b"Location", b"https://evil.example/\x9b31m\xe2\x80\xae")], b""),
        _answer(b"429 Slow", [(b"Retry-After", b"\x9b31m 5")], b""),
        _answer(b"200 OK", [(b"X-\x1b[31m", b"name")], b""),
        b"\x1b]0;no http at all\x07\r\n\r\n",
        b"HTTP/\x1b[31m 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: \x1b[31m\r\n\r\n",
    ]
    return said


def _answer(
    status: bytes = b"200 OK", headers: Sequence[tuple[bytes, bytes]] = (), body: bytes = b""
) -> bytes:
    head = [b"HTTP/1.1 " + status, *(name + b": " + value for name, value in headers)]
    head += [b"Content-Length: %d" % len(body), b"Connection: close"]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def _more(connection: socket.socket) -> bytes:
    """Return what comes next; an end is an error, else a thread would ask for more for ever."""
    piece = connection.recv(65536)
    if not piece:
        raise ConnectionError("the other side has gone")
    return piece


@dataclass
class RawReceiver:
    """Says the bytes that stand at the number ``n`` of what it is sent, then closes."""

    port: int
    said: list[bytes]

    def answer(self, connection: socket.socket) -> None:
        """Read a request and answer it."""
        with connection:
            connection.settimeout(10)
            request = b""
            try:
                while b"\r\n\r\n" not in request:
                    request += _more(connection)
                head, _, body = request.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0])
                while len(body) < length:
                    body += _more(connection)
                connection.sendall(self.said[json.loads(body).get("n", 0)])
            except OSError:
                return  # the other side has seen enough


@contextmanager
def raw_receiver(said: list[bytes]) -> Iterator[RawReceiver]:
    """Run a receiver until the block ends."""
    with socket.create_server(("127.0.0.1", 0), backlog=200) as listening:
        receiver = RawReceiver(listening.getsockname()[1], said)

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=receiver.answer, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield receiver
        listening.shutdown(socket.SHUT_RDWR)


CATALOGUE_TYPES = 40
"""Event types beside the first, each with a hostile name and description."""


def write_catalogue(path: Path) -> None:
    """Write a catalogue whose names and descriptions are hostile; ids cannot be."""
    texts = [as_name(text) for text in TEXTS.values()]
    lines = []
    for group, name in (("evil", texts[8]), ("quiet", texts[10])):
        lines += ["[[group]]", f"id = {_toml(group)}", f"name = {_toml(name)}"]
        for number, text in enumerate(texts[:CATALOGUE_TYPES] if group == "evil" else ["x"]):
            lines += ["[[group.type]]", f"id = {_toml(f'{group}.t{number}')}"]
            lines += [f"name = {_toml(text)}", f"description = {_toml(text)}"]
    path.write_text("\n".join(lines), encoding="utf-8")


def _toml(text: str) -> str:
    """Return a TOML string of ASCII; it has no pairs of surrogates, as JSON has."""
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"'


@dataclass
class Plant:
    """What was planted where; ``deliveries`` in the order of the answers.

    The hooks with the numbers ``lost`` have a name that nobody finds; ``looked_up`` are deliveries
    that failed so.
    """

    home: Installation
    hook: int
    deliveries: list[str]
    events: list[str]
    account: int
    token: str
    url: str
    lost: list[int]
    looked_up: list[str]

    def answer(self, path: str) -> Any:
        """Ask the server itself."""
        with _client(self.home) as client:
            return client.get(path).raise_for_status().json()


_JSON = {"Content-Type": "application/json"}


def _client(home: Installation) -> httpx.Client:
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=str(home.home / "hooktui.sock"), verify=False),
        base_url="http://hooktui",
        timeout=60,
    )


def plant(home: Installation, receiver: RawReceiver, url: str) -> Plant:
    """Fill an installation that runs with everything hostile that its API takes."""
    names = [as_name(text) for text in TEXTS.values()]
    target = f"http://127.0.0.1:{receiver.port}"
    with _client(home) as client:

        def post(path: str, content: object, status: int = 201) -> Any:
            answer = client.post(path, json=content)
            assert answer.status_code == status, answer.text
            return answer.json()

        lost = [
            post("/v1/hooks", {"url": one, "events": ["quiet"], "retry_schedule_s": []})["id"]
            for one in hostile_urls()
        ]
        looked_up = [post(f"/v1/hooks/{one}/ping", None, 200)["delivery"]["id"] for one in lost]
        for name in filter(str.strip, names):
            post("/v1/hooks", {"url": f"{target}/quiet", "name": name, "events": ["quiet"]})
            client.post("/v1/accounts", json={"name": name})
            client.post("/v1/tokens", json={"name": name, "role": "viewer"})
        hostile = {
            "url": f"{target}/in?q=%1b]0;x%07",
            "name": packed(200)[0],
            "events": ["evil"],
            "headers": {"X-Markup": MARKUP},
            "retry_schedule_s": [],
        }
        hook = post("/v1/hooks", hostile)["id"]
        account = post("/v1/accounts", {"name": packed(190)[1]})["id"]
        made = post("/v1/tokens", {"name": packed(90)[1], "role": "admin"})
        datas = [
            json.dumps({"n": 0, "keys": TEXTS, "list": [*TEXTS.values()]}),
            json.dumps(
                {as_name(t): as_name(t) for t in TEXTS.values()} | {"n": 1}, ensure_ascii=False
            ),
            *(json.dumps({"n": number}) for number in range(2, len(receiver.said))),
        ]
        lines = [
            f'{{"type": "evil.t{number % CATALOGUE_TYPES}", "data": {data}}}'
            for number, data in enumerate(datas[1:], 1)
        ]
        # By itself: lone surrogates are refused among many.
        first = client.post("/v1/events/evil.t0", content=datas[0].encode(), headers=_JSON)
        assert first.status_code == 202, first.text
        answer = client.post(
            "/v1/events",
            content="\n".join(lines).encode(),
            headers={"Content-Type": "application/x-ndjson"},
        )
        assert answer.status_code == 202, answer.text
        events = [first.json()["id"], *(one["id"] for one in answer.json()["data"])]
        path = f"/v1/deliveries?hook={hook}&limit=500"

        def ended() -> dict[str, str] | None:
            found = client.get(path).json()["data"]
            done = {one["event"]: one["id"] for one in found if one["finished_at"]}
            return done if len(done) == len(events) else None

        delivery_of = wait_for(ended, 60, "every answer is given") or {}
    deliveries = [delivery_of[event] for event in events]
    return Plant(home, hook, deliveries, events, account, made["token"], url, lost, looked_up)


@contextmanager
def planting(home: Path) -> Iterator[Plant]:
    """Run an installation on a new folder, planted, until the block ends."""
    installation = Installation(home)
    home.mkdir(mode=0o700)
    write_catalogue(home / "catalogue.toml")
    installation.environ["HOOKTUI_CATALOGUE"] = str(home / "catalogue.toml")
    installation.environ |= resolver_for(home)
    listen = f"127.0.0.1:{free_port()}"
    with raw_receiver(answers()) as receiver:
        installation.start("--listen", listen)
        try:
            yield plant(installation, receiver, f"http://{listen}")
        finally:
            installation.stop()
