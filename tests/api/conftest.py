"""One real server for each module of tests, each with an account of its own for the taking."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from tests.support.receivers import Receiver, receiving
from tests.support.running_server import RunningServer, running_server
from tests.support.searches import patient_searches  # noqa: F401 - a fixture

_NUMBERS = count(1)


@pytest.fixture(scope="module")
def server(tmp_path_factory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("home"), listen="127.0.0.1:0") as one:
        yield one


@pytest.fixture
def api(server: RunningServer) -> Iterator[httpx.Client]:
    with server.client() as client:
        yield client


@pytest.fixture
def account(api: httpx.Client) -> int:
    """An account with nothing in it."""
    answer = api.post("/v1/accounts", json={"name": f"account {next(_NUMBERS)}"})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as running:
        yield running


@pytest.fixture
def tcp(server: RunningServer, api: httpx.Client) -> Iterator[httpx.Client]:
    """A client on TCP with an admin's token."""
    token = api.post("/v1/tokens", json={"name": "t", "role": "admin"}).json()["token"]
    host, port = server.listen[0]
    with httpx.Client(
        base_url=f"http://{host}:{port}",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=40,
    ) as client:
        yield client
