"""Secrets that are planted, and the search for them in every form that bytes may have taken."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.receivers import Receiver, Request, Response

_BASE64_EDGE = 4
"""Characters at each end of a base64 text that depend on what stands before and behind."""


def forms(secret: bytes) -> dict[str, bytes]:
    """Return a secret as it is, and as programs write it down; needles to search for."""
    text = secret.decode("latin-1")
    found = {
        "clear": secret,
        "reversed": secret[::-1],
        "hex": secret.hex().encode(),
        "HEX": secret.hex().upper().encode(),
        "UTF-16": text.encode("utf-16-le"),
        "percent": "".join(f"%{byte:02X}" for byte in secret).encode(),
        "\\x": "".join(f"\\x{byte:02x}" for byte in secret).encode(),
        "\\u": "".join(f"\\u{byte:04x}" for byte in secret).encode(),
        "octal": "".join(f"\\{byte:03o}" for byte in secret).encode(),
        "base32": base64.b32encode(secret)[:-8],
        "repr": repr(secret)[2:-1].encode(),
        "JSON": json.dumps(text)[1:-1].encode(),
    }
    for shift in range(3):  # wherever it begins in what was encoded
        encoded = base64.b64encode(b"\0" * shift + secret)
        cut = encoded[_BASE64_EDGE if shift else 0 : -_BASE64_EDGE]
        found[f"base64 +{shift}"] = cut
        found[f"base64url +{shift}"] = cut.replace(b"+", b"-").replace(b"/", b"_")
    return found


@dataclass
class Canaries:
    """What must not be found, by name; and everything that was looked at, by where it came from."""

    secrets: dict[str, bytes] = field(default_factory=dict)
    seen: list[tuple[str, bytes]] = field(default_factory=list)

    def plant(self, name: str, secret: str | bytes) -> str:
        """Take a secret in, and give it back as text."""
        raw = secret if isinstance(secret, bytes) else secret.encode()
        assert len(raw) >= 16, "a short one would be found everywhere"
        self.secrets[name] = raw
        return raw.decode("latin-1")

    def look_at(self, where: str, content: bytes | str) -> None:
        """Keep something that must hold no secret."""
        raw = content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape")
        self.seen.append((where, raw))

    def look_into(self, folder: Path, *, but: tuple[str, ...] = ()) -> None:
        """Keep every file below a folder, except those with some names."""
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.name not in but:
                self.look_at(str(file.relative_to(folder)), file.read_bytes())

    def found(self) -> list[str]:
        """Return what was found where, and in which form."""
        needles = [
            (name, form, needle)
            for name, secret in self.secrets.items()
            for form, needle in forms(secret).items()
        ]
        return [
            f"{where}: {name} ({form})"
            for where, content in self.seen
            for name, form, needle in needles
            if needle in content
        ]


class Processes:
    """Command lines and environments of all processes that carry a mark in their environment."""

    def __init__(self, mark: str) -> None:
        self._mark = mark.encode()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.command_lines: set[bytes] = set()
        self.environments: set[bytes] = set()

    def __enter__(self) -> Processes:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._end.wait(0.1):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    environment = (process / "environ").read_bytes()
                    if self._mark in environment:
                        self.environments.add(environment)
                        self.command_lines.add((process / "cmdline").read_bytes())


class EchoingReceiver(Receiver):
    """Responds with what it was sent: in the body, in a header and in the reason.

    Every third response is a refusal, and all at `REFUSED`.
    """

    REFUSED = "/refused"

    def response_to(self, request: Request) -> Response:
        values = [f"{name}: {value}" for name, value in request.headers.items()]
        refused = request.path.endswith(self.REFUSED) or len(self.requests) % 3 == 0
        return Response(
            500 if refused else 200,
            {f"X-Echo-{name}": value for name, value in request.headers.items()},
            json.dumps({"headers": values, "body": request.body.decode()}).encode(),
            "; ".join(values)[:400],
        )
