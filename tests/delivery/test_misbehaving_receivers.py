"""Whatever a receiver does, the attempt ends in time and as it must, in bounded memory.

The next deliveries of the same hook are right: the response to each is the one to its own body.
"""

import encodings.idna  # noqa: F401 - the first connect of uvloop would import it: 120 KB, once
import gc
import hashlib
import json
import subprocess
import sys
import tracemalloc

import pytest

from hooktui.domain.addresses import parse_url
from hooktui.domain.deliveries import ErrorClass
from tests.delivery.misbehaviours import MISBEHAVIOURS
from tests.support.waiting import LIMIT_S

SHORT_S, LONG_S = 0.3, 20
"""The deadline of attempts that only it ends; of those that must end by themselves, long before it;
and when all must have ended, on a busy machine too. The limits of single steps are long."""

MAX_BYTES = {"http": 400_000, "https": 900_000}
"""Of memory at any moment of an attempt: what one read may bring (256 KiB), the answer that is kept
(64 KiB of head, 16 KiB of body), for TLS its own buffers; and three times the request's body."""
LEFT_BYTES = {"http": 50_000, "https": 450_000}
"""Of memory when all is over, with one kept connection: a TLS one holds its 256 KiB buffer."""


class Receivers:
    """The process with the receivers."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.delivery.misbehaving_receivers"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.ports = json.loads(self._process.stdout.readline())

    def command(self, what, name):
        self._process.stdin.write(f"{what} {name}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == "ok\n"

    def close(self):
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(LIMIT_S)


@pytest.fixture(scope="module")
def misbehaving():
    opened = Receivers()
    yield opened
    opened.close()


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def _traced():
    return tracemalloc.get_traced_memory()[0]


@pytest.mark.usefixtures("traced")
@pytest.mark.parametrize("name", MISBEHAVIOURS)
async def test_an_attempt_ends_in_time_and_the_next_ones_are_right(misbehaving, clients, name):
    misbehaviour = MISBEHAVIOURS[name]
    hangs = ErrorClass.TIMEOUT in misbehaviour.ends
    scheme = "https" if misbehaviour.tls else "http"
    target = parse_url(f"{scheme}://127.0.0.1:{misbehaving.ports[name]}/in")
    client = clients.with_(connect_s=LONG_S, tls_s=LONG_S, first_byte_s=LONG_S)
    timeout_s = SHORT_S if hangs else LONG_S
    misbehaving.command("misbehave", name)
    tracemalloc.reset_peak()
    before = _traced()
    while True:
        exchange = await client.post(
            target, body=b"x" * misbehaviour.body, timeout_s=timeout_s, verify_tls=False
        )
        if exchange.error is not ErrorClass.CONNECT_TIMEOUT:  # of a busy machine: try again
            break
    _, peak = tracemalloc.get_traced_memory()
    misbehaving.command("behave", name)
    assert exchange.error in misbehaviour.ends, exchange
    assert "\n" not in (exchange.error_detail or "")
    assert peak - before < MAX_BYTES[scheme] + 3 * misbehaviour.body
    for n in range(3):
        body = f"{name} {n}".encode()
        exchange = await client.post(target, body=body, timeout_s=LONG_S, verify_tls=False)
        assert (exchange.status_code, exchange.error) == (200, None), exchange
        assert exchange.body.decode() == hashlib.sha256(body).hexdigest()
    if _traced() - before >= LEFT_BYTES[scheme]:
        gc.collect()
    assert _traced() - before < LEFT_BYTES[scheme]
