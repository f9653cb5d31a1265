"""What an answer means, for both clients and over both transports."""

import contextlib
import dataclasses
import errno
import json
import ssl

import pytest

from hooktui.cli.exit_codes import FAILED, exit_code
from hooktui.client import ServerAddress, calls
from hooktui.client.responses import Problem, no_connection, reason
from hooktui.domain import errors
from tests.support.certificates import Authority
from tests.support.scripted_server import HOOK, PROBLEM, Answer, answer, page, problem, serving

CLASSES = {
    400: errors.Malformed,
    401: errors.Unauthenticated,
    403: errors.NotAllowed,
    404: errors.NotFound,
    409: errors.Conflict,
    413: errors.TooLarge,
    415: errors.Unsupported,
    422: errors.Refused,
    429: errors.TooManyRequests,
    503: errors.Unavailable,
    507: errors.DiskFull,
}


@pytest.mark.parametrize("status", CLASSES)
async def test_a_problem_becomes_the_error_of_its_status(ask, server, status):
    server.will(problem(status, "the reason and the fix"))
    with pytest.raises(CLASSES[status]) as caught:
        await ask(calls.get_hook(12))
    assert caught.value.detail == "the reason and the fix"
    assert caught.value.status == status


# Red when the missing call of an older server is reported as a thing that was not found.
async def test_a_call_that_the_server_does_not_have_is_explained(ask, server):
    server.will(problem(404, "there is nothing at /v1/replays; /openapi.json lists all paths"))
    with pytest.raises(errors.OlderServer) as caught:
        await ask(calls.get_hook(12))
    assert caught.value.detail == (
        f"the server at {server.address} is older than this command and cannot do this; restart it"
        " with this version"
    )
    assert exit_code(caught.value) == FAILED


async def test_an_unknown_status_is_an_error_with_its_detail(ask, server):
    server.will(problem(418, "short and stout"))
    with pytest.raises(errors.HooktuiError, match="short and stout"):
        await ask(calls.get_hook(12))


async def test_a_refusal_names_its_fields_and_keeps_the_problem(ask, server):
    field = {"pointer": "/url", "detail": "no host"}
    server.will(problem(422, "no host", errors=[field], extra=7))
    with pytest.raises(errors.Refused) as caught:
        await ask(calls.create_hook(1, {"url": "http:"}))
    assert caught.value.errors == (errors.FieldError("/url", "no host"),)
    assert isinstance(caught.value.__cause__, Problem)
    assert caught.value.__cause__.fields["extra"] == 7


async def test_retry_after_reaches_the_caller(ask, server):
    told = problem(503, "busy")
    server.will(dataclasses.replace(told, headers={"Retry-After": "7"}))
    with pytest.raises(errors.Unavailable) as caught:
        await ask(calls.server_status())
    assert caught.value.retry_after_s == 7


@pytest.mark.parametrize(
    "told",
    [
        Answer(200, b"<html>", "text/html"),
        Answer(500, b"Internal Server Error", "text/plain"),
        Answer(302, b"", "text/html", {"Location": "/elsewhere"}),
        Answer(200, b"{no", "application/json"),
        Answer(404, b"[]", PROBLEM),
        answer({"id": "not a hook"}),
    ],
    ids=["html", "plain 500", "redirect", "not JSON", "no object", "another shape"],
)
async def test_what_is_no_hooktui_server_is_no_server(ask, server, told):
    server.will(told)
    with pytest.raises(errors.NoServer, match="not a hooktui server"):
        await ask(calls.get_hook(12))
    assert len(server.asked) == 1


async def test_a_connection_that_ends_early_is_no_server(ask, server):
    server.will(Answer(drop=True))
    with pytest.raises(errors.NoServer, match="closed the connection before it responded") as ended:
        await ask(calls.get_hook(12))
    hint = "; if it uses TLS, the address is https://127.0.0.1:"
    assert (hint in ended.value.detail) == (server.address.socket is None)
    assert len(server.asked) == 1, "a call that may have been done is not sent again"


DOUBT = "it may have carried out the request"


@pytest.mark.parametrize(
    ("told", "doubt"),
    [
        (Answer(drop=True), True),
        (Answer(hang=True), True),
        (Answer(502, b"<html>", "text/html"), True),
        (answer({"id": "another shape"}), True),
        (problem(500, "the disk is on fire"), True),
        (problem(503, "busy"), False),
        (problem(403, "not you"), False),
        (problem(404, "none such"), False),
    ],
    ids=["dropped", "too slow", "html", "another shape", "500", "503", "403", "404"],
)
async def test_a_failed_write_says_that_it_may_have_been_done(ask, server, told, doubt):
    for call, doubtful in (
        (calls.edit_hook(12, {"active": False}), doubt),
        (calls.get_hook(12), False),
        (calls.dry_run(1, {}), False),
    ):
        server.will(told)
        timeout_s = 0.05 if told.hang else call.timeout_s
        with pytest.raises(errors.HooktuiError) as caught:
            await ask(dataclasses.replace(call, timeout_s=timeout_s))
        assert (DOUBT in str(caught.value)) is doubtful
        assert str(caught.value) == caught.value.detail


async def test_an_answer_that_does_not_come_is_unavailable(ask, server):
    server.will(Answer(hang=True))
    call = dataclasses.replace(calls.get_hook(12), timeout_s=0.05)
    with pytest.raises(errors.Unavailable, match=r"within 0\.05 s"):
        await ask(call)


async def test_no_socket_is_no_server_and_says_what_to_do(connected, tmp_path):
    address = ServerAddress(socket=tmp_path / "none.sock")
    async with connected(address) as ask:
        with pytest.raises(errors.NoServer, match="hooktui serve") as caught:
            await ask(calls.server_status())
    assert str(tmp_path / "none.sock") in caught.value.detail


async def test_a_stale_socket_is_no_server(connected, tmp_path):
    with serving(tmp_path / "left.sock") as server:
        pass
    assert (tmp_path / "left.sock").exists()
    async with connected(server.address) as ask:
        with pytest.raises(errors.NoServer):
            await ask(calls.server_status())


async def test_a_closed_port_is_no_server(connected):
    with serving() as server:
        pass
    async with connected(server.address) as ask:
        with pytest.raises(errors.NoServer, match="check --connect"):
            await ask(calls.server_status())


# Red when the text is OpenSSL's: it names a file of Python's source.
async def test_a_server_without_tls_is_named_so(connected):
    with serving() as server:
        address = dataclasses.replace(server.address, scheme="https")
        async with connected(address) as ask:
            with pytest.raises(errors.NoServer) as caught:
                await ask(calls.server_status())
    assert caught.value.detail == (
        f"the server at {address} does not use TLS; use http:// on this machine, or set up TLS for"
        " the server"
    )


# Red when a client that is open for weeks, such as a console, reads the authorities only once.
async def test_a_new_authority_is_found_without_a_new_client(connected, tmp_path, monkeypatch):
    trusted = tmp_path / "trusted.pem"
    trusted.write_text(Authority(tmp_path, "the old one").pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    renewed = Authority(tmp_path)
    with serving(tls=renewed.server_context("127.0.0.1")) as server:
        server.will(page(HOOK, total=7))
        async with connected(server.address) as ask:
            with pytest.raises(errors.NoServer, match="not trusted") as caught:
                await ask(calls.list_hooks(1))
            assert caught.value.listens
            trusted.write_text(renewed.pem)
            with contextlib.suppress(errors.NoServer):  # it finds out
                await ask(calls.list_hooks(1))
            assert (await ask(calls.list_hooks(1))).total == 7


def test_an_error_of_tls_is_in_words():
    error = ssl.SSLError(1, "[SSL: NO_PROTOCOLS_AVAILABLE] no protocols available (_ssl.c:1006)")
    error.reason = "NO_PROTOCOLS_AVAILABLE"
    text = no_connection(ServerAddress(scheme="https", host="x.test", port=443), error).detail
    assert "x.test:443: TLS: no protocols available; check" in text
    eof = ssl.SSLEOFError(8, "EOF occurred in violation of protocol (_ssl.c:1006)")
    assert reason(eof) == "TLS: EOF occurred in violation of protocol"


def test_a_socket_that_may_not_be_opened_is_not_allowed(tmp_path):
    address = ServerAddress(socket=tmp_path / "theirs.sock")
    error = no_connection(address, PermissionError(errno.EACCES, "Permission denied"))
    assert isinstance(error, errors.NotAllowed)


async def test_without_a_token_a_401_says_where_to_put_one(connected):
    with serving(token=None) as server:
        server.will(problem(401, "no token"))
        async with connected(server.address) as ask:
            with pytest.raises(errors.Unauthenticated, match="HOOKTUI_TOKEN"):
                await ask(calls.server_status())


async def test_fields_of_a_newer_server_are_passed_over(ask, server):
    server.will(page({**HOOK, "colour": "green"}, total=7))
    hooks = await ask(calls.list_hooks(1))
    assert hooks.total == 7
    assert hooks.data[0].name == "billing"
    assert hooks.data[0].stats.p95_ms == 120
    assert hooks.data[0].retry_schedule_s == (5.0, 300.0)


async def test_a_created_hook_comes_with_its_secret(ask, server):
    server.will(answer({**HOOK, "secret": "whsec_x", "warnings": ["slow"]}, 201))
    created = await ask(calls.create_hook(1, {"url": "https://x.test", "events": ["job"]}))
    assert (created.id, created.secret, created.warnings) == (12, "whsec_x", ("slow",))
    assert json.loads(server.asked[0].body) == {"url": "https://x.test", "events": ["job"]}


async def test_a_deletion_answers_nothing(ask, server):
    server.will(Answer(204))
    assert await ask(calls.delete_hook(12)) is None
