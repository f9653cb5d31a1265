"""A diagnosis told line by line: who follows, who leaves, and how it ends."""

import asyncio
import json
import socket
from contextlib import closing

import pytest

from hooktui.api.diagnosis_runs import Diagnoses
from hooktui.client import AsyncClient, ServerAddress, calls
from hooktui.domain.errors import HooktuiError, Unavailable
from hooktui.domain.wire.diagnosis import DiagnosisLine
from tests.api.test_diagnose_api import diagnosed, made
from tests.support.ports import free_port
from tests.support.receivers import receiving

LINES = {"Accept": "application/json;q=0.5, application/x-ndjson"}
FIRST = DiagnosisLine(running="name")


class Work:
    """Tells one line, then waits for its ``end``."""

    def __init__(self) -> None:
        self.begun = 0
        self.end: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def __call__(self, tell):
        self.begun += 1
        tell(FIRST)
        return await asyncio.shield(self.end)


async def test_who_comes_later_gets_the_lines_from_the_first_on():
    diagnoses, work = Diagnoses(), Work()
    run = diagnoses.join((1, 1), work)
    lines = run.follow()
    assert await anext(lines) == FIRST
    other = diagnoses.join((1, 1), work).follow()
    assert await anext(other) == FIRST
    work.end.set_result("all of it")
    assert (await anext(lines)).diagnosis == (await anext(other)).diagnosis == "all of it"
    assert [line async for line in lines] == []
    assert work.begun == 1


async def test_it_ends_when_the_last_one_leaves_and_not_before():
    diagnoses, work = Diagnoses(), Work()
    run = diagnoses.join((1, 1), work)
    diagnoses.join((1, 1), work)
    waiting = asyncio.create_task(run.result())
    await anext(run.follow())
    diagnoses.leave((1, 1), run)
    await asyncio.sleep(0)
    assert not run.task.done()
    diagnoses.leave((1, 1), run)
    # Red when it goes on for nobody.
    with pytest.raises(Unavailable):
        await waiting
    assert diagnoses.join((1, 1), work) is not run


async def test_an_error_in_the_middle_is_the_last_line():
    diagnoses, work = Diagnoses(), Work()
    run = diagnoses.join((1, 1), work)
    work.end.set_exception(Unavailable("the server is stopping"))
    first, last = [line async for line in run.follow()]
    assert first == FIRST
    assert last.problem["status"] == 503
    assert last.problem["detail"] == "the server is stopping"


def followed(api, hook):
    """Yield the lines of a diagnosis as they come."""
    with api.stream("POST", f"/v1/hooks/{hook}/diagnose", headers=LINES) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "application/x-ndjson"
        for line in answer.iter_lines():
            yield json.loads(line)


def test_each_step_comes_as_soon_as_it_has_ended(api, account, receiver):
    hook = made(api, account, receiver.url)
    receiver.released.clear()
    lines = followed(api, hook)
    seen = [next(lines) for _ in range(3)]
    # Red when the lines are kept until the ping is answered.
    receiver.wait_for(1)
    receiver.released.set()
    assert [line["running"] for line in seen] == ["name", "connect", "ping"]
    names = [[check["name"] for check in line["checks"]] for line in seen]
    assert names == [[], ["name", "address"], ["connect"]]
    [last] = lines
    assert last["diagnosis"]["state"] == "ok"
    assert last["diagnosis"]["checks"][:3] == [*seen[1]["checks"], *seen[2]["checks"]]
    # Asked for in another way it is the same object.
    assert diagnosed(api, hook).keys() == last["diagnosis"].keys()


def test_where_nothing_leads_there_the_verdict_follows_at_once(api, account):
    *lines, last = followed(api, made(api, account, f"http://127.0.0.1:{free_port()}/in"))
    assert [line["running"] for line in lines] == ["name", "connect"]
    assert last["diagnosis"]["state"] == "fail"
    assert last["diagnosis"]["ping"] is None


def test_who_goes_away_ends_it(api, account, server):
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        url = f"https://127.0.0.1:{listening.getsockname()[1]}/in"
        hook = made(api, account, url, verify_tls=False)
        with server.client() as leaving:
            lines = followed(leaving, hook)
            assert [next(lines)["running"] for _ in range(3)] == ["name", "connect", "TLS"]
            connection, _ = listening.accept()
            lines.close()
        with closing(connection):
            # Its handshake has 5 s. Red when it goes on for nobody: then recv times out.
            connection.settimeout(4)
            while connection.recv(65536):
                pass


def test_who_stays_gets_all_of_it(api, account, receiver, server):
    hook = made(api, account, receiver.url)
    receiver.released.clear()
    staying = followed(api, hook)
    assert next(staying)["running"] == "name"
    with server.client() as one:
        leaving = followed(one, hook)
        assert next(leaving)["running"] == "name"
        receiver.wait_for(1)
        leaving.close()
    receiver.released.set()
    assert list(staying)[-1]["diagnosis"]["state"] == "ok"
    assert len(receiver.requests) == 1


def test_a_refusal_before_it_begins_is_a_problem_as_everywhere(api):
    answer = api.post("/v1/hooks/424242/diagnose", headers=LINES)
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"


async def test_the_clients_of_ours_read_it(api, account, server):
    address = ServerAddress(socket=server.paths.socket)
    with receiving() as there:
        hook = made(api, account, there.url)
        async with AsyncClient(address) as client:
            lines = [line async for line in client.lines(calls.follow_diagnosis(hook))]
            assert [line.running for line in lines] == ["name", "connect", "ping", None]
            assert lines[-1].diagnosis.state == "ok"
            with pytest.raises(HooktuiError, match="no hook 424242"):
                [line async for line in client.lines(calls.follow_diagnosis(424242))]
