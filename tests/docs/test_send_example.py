"""The program on the page about sending events stores an event once, whatever happens."""

from __future__ import annotations

import re
from urllib.request import urlopen

import pytest

from docs.tools.generate import DOCS
from tests.support.receivers import Receiver, receiving

PAGE = (DOCS / "integrate/send-events.md").read_text()
PATH = "/v1/events/job.failed"


@pytest.fixture
def program(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Return the names of the program; it notes in ``waits`` how long it would wait."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setenv("HOOKTUI_TOKEN", "hkt_1")
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, object] = {"waits": []}
    exec(code, names)
    monkeypatch.setattr("time.sleep", names["waits"].append)
    return names


# Red when it gives up at 503, ignores Retry-After, or changes the key or the bytes.
def test_it_repeats_the_same_request_until_the_event_is_stored(program):
    responses = [408, (503, {"Retry-After": "7"}), 429, 507, 500]
    lost = [ConnectionResetError]

    def urlopen_once_lost(request, **options):
        if lost:
            raise lost.pop()
        return urlopen(request, **options)

    program["urlopen"] = urlopen_once_lost
    with receiving(Receiver(status=202, script={PATH: responses})) as server:
        program["SERVER"] = server.url_of("")
        assert program["send"]("job.failed", {"id": 305}, "run-305") == {"ok": True}
    assert program["waits"] == [5, 5, 7, 5, 5, 5]
    assert len(server.requests) == 6
    assert {(one.body, one.headers["Idempotency-Key"]) for one in server.requests} == {
        (b'{"id": 305}', "run-305")
    }


def test_it_does_not_repeat_a_wrong_request(program):
    with receiving(Receiver(status=422)) as server:
        program["SERVER"] = server.url_of("")
        with pytest.raises(ValueError, match="ok"):
            program["send"]("job.failed", {"id": 305}, "run-305")
    assert program["waits"] == []
