"""What is refused by its form is refused wherever it is typed, and nothing leaves the machine.

A real server without opened networks. By the API every row of the table, when a hook is made and
when it is changed; by the command line, which takes longer, a row of each reason, and with
``-m soak`` every row. The guard sees each connect and each look-up of this process, in which the
server runs too; only its Unix socket is dialled.
"""

import re
import sys

import pytest

from hooktui.cli.main import main
from tests.support.address_table import FORBIDDEN, MALFORMED
from tests.support.running_server import running_server

HARMLESS = "http://8.8.8.8/"  # saved, and never sent to
# Half a character is refused before anybody asks what it stands in (tests/api/test_hooks_api.py).
REFUSED = [(url, why, None) for url, why in MALFORMED if not re.search("[\ud800-\udfff]", url)]
REFUSED += FORBIDDEN

_watching = False
_outward: list[str] = []


def _guard(event, arguments):
    if not _watching:
        return
    if event == "socket.getaddrinfo":
        _outward.append(f"look-up of {arguments[0]!r}")
    elif event in ("socket.connect", "socket.sendto", "socket.sendmsg") and not isinstance(
        arguments[1], str | bytes
    ):
        _outward.append(f"{event} {arguments[1]!r}")


sys.addaudithook(_guard)


@pytest.fixture
def no_packet():
    """Fail the test in which a name is looked up, or anything but a Unix socket dialled."""
    global _watching
    _outward.clear()
    _watching = True
    yield
    _watching = False
    assert not _outward


@pytest.fixture(scope="module")
def closed_server(tmp_path_factory):
    with running_server(tmp_path_factory.mktemp("closed"), allow_networks="") as one:
        yield one


@pytest.fixture(scope="module")
def api(closed_server):
    with closed_server.client() as client:
        yield client


@pytest.fixture(scope="module")
def hook(api):
    answer = api.post("/v1/hooks", json={"url": HARMLESS, "events": ["job"]})
    assert answer.status_code == 201
    return answer.json()["id"]


def _says_why(text, reason, opened_by):
    assert reason in text
    if opened_by is not None:
        assert "HOOKTUI_ALLOW_NETWORKS=" in text


def _one_of_each_reason(rows):
    return list(
        {(reason, opened_by): (url, reason, opened_by) for url, reason, opened_by in rows}.values()
    )


EACH_REASON = _one_of_each_reason(REFUSED), _one_of_each_reason(FORBIDDEN)


@pytest.mark.parametrize(
    ("created", "edited"),
    [
        pytest.param(*EACH_REASON, id="one row of each reason"),
        pytest.param(REFUSED, FORBIDDEN, id="every row", marks=pytest.mark.soak),
    ],
)
@pytest.mark.usefixtures("no_packet")
def test_the_command_line_refuses_every_row_with_its_reason(
    closed_server, hook, capfd, created, edited
):
    environ = {"HOOKTUI_HOME": str(closed_server.paths.home)}
    create, edit = ["create", "--events", "job"], ["edit", str(hook)]
    rows = [(create, row) for row in created] + [(edit, row) for row in edited]
    for verb, (url, reason, opened_by) in rows:
        code = main(["hooks", *verb, f"--url={url}"], environ)
        said = capfd.readouterr()
        assert (code, said.out) == (6, ""), (verb, url, said)
        assert said.err.count("\n") == 1, (url, said.err)
        _says_why(said.err, reason, opened_by)


@pytest.mark.usefixtures("no_packet")
def test_the_api_refuses_every_row_when_a_hook_is_made_and_when_it_is_changed(api, hook):
    before = api.get(f"/v1/hooks/{hook}").json()
    for url, reason, opened_by in REFUSED:
        for answer in (
            api.post("/v1/hooks", json={"url": url, "events": ["job"]}),
            api.patch(f"/v1/hooks/{hook}", json={"url": url}),
        ):
            problem = answer.json()
            assert answer.status_code == 422, (url, problem)
            assert [error["pointer"] for error in problem["errors"]] == ["/url"]
            _says_why(problem["detail"], reason, opened_by)
    assert api.get(f"/v1/hooks/{hook}").json() == before
    assert api.get("/v1/hooks").json()["total"] == 1


def test_the_guard_sees_a_look_up(api, hook):
    """Else the tests above would prove nothing: a name, unlike these rows, is looked up."""
    global _watching
    _outward.clear()
    _watching = True
    api.patch(f"/v1/hooks/{hook}", json={"url": "http://localhost/"})
    _watching = False
    assert _outward == ["look-up of 'localhost'"]


def test_an_edit_to_a_name_that_leads_nowhere_is_saved_with_a_warning(closed_server, api, capfd):
    environ = {"HOOKTUI_HOME": str(closed_server.paths.home)}
    made = api.post("/v1/hooks", json={"url": HARMLESS, "events": ["job"]}).json()
    assert main(["hooks", "edit", str(made["id"]), "--url=https://bücher.invalid/"], environ) == 0
    said = capfd.readouterr()
    assert said.err.startswith("warning: xn--bcher-kva.invalid was not found")
    assert "https://bücher.invalid/  (host name: xn--bcher-kva.invalid)" in said.out
    assert main(["hooks", "list"], environ) == 0
    assert "(host name: xn--bcher-kva.invalid)" in capfd.readouterr().out
    answer = api.patch(f"/v1/hooks/{made['id']}", json={"url": HARMLESS}).json()
    assert answer == api.get(f"/v1/hooks/{made['id']}").json()
    assert api.delete(f"/v1/hooks/{made['id']}").status_code == 204
