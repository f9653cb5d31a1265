"""``hooktui replay``: plan, run with its question and exit codes, and steering."""

from __future__ import annotations

import json
import re

import pytest

from hooktui.cli.output import Output
from tests.support.scripted_server import answer, problem, serving

SELECTION = {
    "hooks": [3], "mode": "failed", "since": None, "until": "2026-11-25T00:00:00.000Z",
    "filter": None, "cause": None, "include_ordered": False,
}  # fmt: skip
PLAN = {
    "selection": SELECTION, "rate_per_s": 50, "total": 5, "retrying": 1, "duplicates": 2,
    "oldest_at": "2026-11-24T00:00:00.000Z", "newest_at": "2026-11-24T01:00:00.000Z",
    "estimate_s": 1,
    "hooks": [{"hook": 3, "name": "Slack relay", "selected": 5, "retrying": 1, "duplicates": 2,
               "oldest_at": None, "newest_at": None, "waits_for": "breaker"}],
    "skipped": [{"hook": 3, "reason": "purged", "count": 4,
                 "explanation": "the body was dropped by retention"}],
    "warnings": ["careful"], "complete": True, "next": None,
}  # fmt: skip
PROGRESS = {
    "total": 5, "sent": 4, "retried": 1, "delivered": 5, "failed": 0, "waiting": 0, "cancelled": 0,
    "skipped": {"purged": 4}, "position": None, "estimate_s": 0,
}  # fmt: skip
REPLAY = {
    "id": "rpl_01JDG3R8Z4000", "account": 1, "state": "running", "state_reason": None,
    "selection": SELECTION, "rate_per_s": 50, "max_deliveries": 5, "server": "0",
    "created_at": "2026-11-25T00:00:00.000Z", "created_by": "ann",
    "changed_at": "2026-11-25T00:00:00.000Z", "changed_by": "ann", "ended_at": None,
    "progress": PROGRESS,
    "hooks": [{"hook": 3, "name": "Slack relay", "state": "walking", "reason": None,
               "waits_for": None, "sent": 4, "retried": 1, "skipped": {"purged": 4}}],
}  # fmt: skip


def test_a_plan_is_added_up_from_its_parts(run, server):
    first = {**PLAN, "complete": False, "next": "more", "total": 2}
    server.will(answer(first), answer(PLAN))
    out = run("replay", "plan", "--hook", "3", "--since", "24h").out
    assert "7 deliveries" in out
    # Red when retries are "sent now" in the line of a hook that will wait.
    assert "(Slack relay): 10, 2 of them are pending retries that the replay sends early, " in out
    assert "will wait: its breaker is open" in out
    assert "skips 8: the body was dropped by retention" in out
    assert "careful" in out
    asked = [json.loads(one.body) for one in server.asked]
    assert asked[0]["selection"]["since"] == "24h"
    assert (asked[1]["after"], asked[1]["selection"]) == ("more", SELECTION)


# Red when a plan claims a duration while one of its hooks sends nothing.
@pytest.mark.parametrize("waits_for", ["breaker", "paused", "disabled", None])
def test_a_plan_has_no_estimate_while_a_hook_waits(run, server, waits_for):
    hooks = [{**PLAN["hooks"][0], "waits_for": None}, {**PLAN["hooks"][0], "waits_for": waits_for}]
    server.will(answer({**PLAN, "hooks": hooks}))
    last = run("replay", "plan", "--hook", "3").out.splitlines()[-1]
    if waits_for is None:
        assert last == "about 1s at 50 a second"
    else:
        assert last == "at 50 a second; no estimate while a hook waits"


# Red when a replay is shown with names of the wire, or with a time left while all of it waits.
def test_states_are_words(run, server, monkeypatch):
    hook, more = REPLAY["hooks"][0], {"progress": {**PROGRESS, "estimate_s": 3}}
    waits = {**REPLAY, **more, "hooks": [{**hook, "waits_for": "breaker"}]}
    aside = {**hook, "hook": 4, "state": "set_aside", "reason": "20 failed", "retried": 0}
    server.will(answer({**REPLAY, "hooks": [hook, aside]}))
    out = run("replay", "show", REPLAY["id"]).out
    assert "hook 3 (Slack relay): sending, sent 4, retried 1\n" in out
    assert "hook 4 (Slack relay): set aside (20 failed), sent 4\n" in out
    assert "  sent      4\n  retried   1\n" in out
    for state in ("paused", "aborted"):
        server.will(answer({**REPLAY, "state": state, "hooks": [hook]}))
        assert f"hook 3 (Slack relay): {state}, sent 4" in run("replay", "show", REPLAY["id"]).out
    server.will(answer(waits))
    out = run("replay", "show", REPLAY["id"]).out
    assert "hook 3 (Slack relay): waits: its breaker is open, sent 4, retried 1\n" in out
    server.will(answer({"data": [waits], "total": 1}))
    assert run("replay", "list").out.splitlines()[1].endswith("hook 3 waits: its breaker is open")
    monkeypatch.setattr(Output, "progress_shown", True)
    monkeypatch.setattr("hooktui.cli.replay._POLL_S", 0)
    ended = {**REPLAY, "state": "aborted"}
    server.will(answer(PLAN), answer(waits, 201), answer(waits), answer(ended))
    err = run("replay", "run", "--hook", "3", "--yes", "--wait").err
    assert "running: sent 5 of 5, 0 failed, hook 3 waits: its breaker is open\r" in err
    assert "left" not in err


def test_a_plan_of_nothing_says_so_and_one_of_one_counts_it(run, server):
    # Red when a plan without deliveries names a duration, or one delivery is "1 deliveries".
    server.will(answer({**PLAN, "total": 0, "estimate_s": 0, "hooks": [], "skipped": []}))
    empty = run("replay", "plan", "--hook", "3").out
    assert "there is nothing to send" in empty
    assert "about" not in empty
    server.will(answer({**PLAN, "total": 1}))
    assert run("replay", "plan", "--hook", "3").out.startswith("1 delivery, ")


def test_run_prints_the_id_alone_and_passes_the_plan(run, server):
    server.will(answer(PLAN), answer(REPLAY, 201))
    result = run("replay", "run", "--hook", "3", "--rate", "20", "--yes")
    assert (result.code, result.out) == (0, "rpl_01JDG3R8Z4000\n")
    sent = json.loads(server.asked[1].body)
    assert sent == {"selection": SELECTION, "rate_per_s": 20, "max_deliveries": 5}
    assert server.asked[1].headers["idempotency-key"]


def test_with_nothing_to_send_no_id_is_printed(run, server):
    server.will(answer({**PLAN, "total": 0}))
    result = run("replay", "run", "--all-hooks", "--yes")
    assert (result.code, result.out) == (0, "")
    assert result.err.splitlines() == [  # red without the reason
        "hook 3 skips 4: the body was dropped by retention", "there is nothing to send",
    ]  # fmt: skip
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "arguments",
    [("run", "--yes"), ("plan",), ("run", "--all-hooks"), ("run", "--hook", "3", "--all-hooks")],
)
def test_usage(run, server, arguments):
    assert run("replay", *arguments).code == 2
    assert server.asked == []


@pytest.mark.parametrize(
    ("state", "reason", "failed", "code"),
    [
        ("finished", None, 0, 0),
        ("finished", None, 2, 1),
        ("aborted", None, 0, 1),
        ("paused", "20 attempts in a row failed", 0, 1),
    ],
)
def test_wait_exits_with_the_result(run, server, state, reason, failed, code):
    end = {**REPLAY, "state": state, "state_reason": reason}
    end["progress"] = {**PROGRESS, "failed": failed}
    server.will(answer(PLAN), answer(REPLAY, 201), answer(end))
    result = run("replay", "run", "--hook", "3", "--yes", "--wait")
    assert (result.code, result.out) == (code, "rpl_01JDG3R8Z4000\n")


# Red when a restart ends the command with "no server", although the replay continues.
def test_wait_goes_on_over_a_restart_of_the_server(start, tmp_path):
    path = tmp_path / "server.sock"
    with serving(path) as server:
        server.will(answer(PLAN), answer(REPLAY, 201), answer({}, hang=True))
        run = start("replay", "run", "--hook", "3", "--yes", "--wait", "--json")
        run.wait_for(lambda: len(server.asked) == 3)
    path.unlink()
    run.wait_for(lambda: any("reconnecting" in line for line in run.err))
    with serving(path) as server:
        server.will(problem(503, "the server is stopping"), answer({**REPLAY, "state": "finished"}))
        assert run.process.wait(20) == 0
        run.wait_for(lambda: run.out)
    assert json.loads(run.out[0])["state"] == "finished"
    assert "connected again" in run.err


# Red when the command waits for ever, or does not say that there is no server.
def test_wait_ends_when_the_server_stays_away(run, server, monkeypatch):
    monkeypatch.setattr("hooktui.cli.replay._AWAY_S", -1)
    monkeypatch.setattr("hooktui.cli.replay._POLL_S", 0)
    server.will(answer(PLAN), answer(REPLAY, 201), *[problem(503, "it is away")] * 2)
    result = run("replay", "run", "--hook", "3", "--yes", "--wait")
    assert (result.code, result.err.count("it is away")) == (1, 2)


# Red when a replay that sent fewer than planned does not say why.
@pytest.mark.parametrize(
    ("state", "sent", "reason", "fewer"),
    [
        ("finished", 2, None, True),
        ("finished", 4, None, False),
        ("finished", 2, "max_deliveries reached", False),
        ("aborted", 2, None, False),
        ("running", 2, None, False),
    ],
)
def test_a_finished_replay_says_why_it_sent_fewer(run, server, state, sent, reason, fewer):
    ended = {**REPLAY, "state": state, "state_reason": reason}
    server.will(answer({**ended, "progress": {**PROGRESS, "sent": sent}}))
    out = run("replay", "show", REPLAY["id"]).out
    assert ("2 fewer than planned: " in out) is fewer


# Red when nothing says who has paused, aborted or slowed a replay, or when.
def test_the_last_change_of_a_replay_is_shown(run, server):
    changed = {"changed_at": "2026-11-25T00:03:00.000Z", "changed_by": "bob"}
    server.will(answer({**REPLAY, **changed, "state": "paused"}))
    assert re.search(r"\n  changed +\S.* by bob\n", run("replay", "show", REPLAY["id"]).out)
    ended = {"state": "aborted", "ended_at": changed["changed_at"]}
    server.will(answer({**REPLAY, **changed, **ended}))
    out = run("replay", "show", REPLAY["id"]).out
    assert re.search(r"\n  ended +\S.* by bob\n", out)
    assert "changed" not in out
    server.will(answer(REPLAY))
    assert "changed" not in run("replay", "show", REPLAY["id"]).out


# Red when the results do not add up to what was sent.
def test_cancelled_deliveries_of_a_replay_are_shown(run, server):
    progress = {**PROGRESS, "delivered": 3, "cancelled": 2}
    server.will(answer({**REPLAY, "state": "aborted", "progress": progress}))
    assert "  cancelled 2\n" in run("replay", "show", REPLAY["id"]).out


def test_list_and_show(run, server):
    server.will(answer({"data": [REPLAY], "total": 1}))
    out = run("replay", "list", "--state", "running", "--hook", "3").out
    assert "rpl_01JDG3R8Z4000" in out
    assert "state=running" in server.asked[0].path
    large = PROGRESS | {"total": 9_000, "sent": 5_000, "retried": 100, "failed": 1_234}
    server.will(answer({"data": [{**REPLAY, "progress": large}], "total": 1}))
    assert {"9,000", "5,100", "1,234"} <= set(run("replay", "list").out.split())
    server.will(answer(REPLAY))
    out = run("replay", "show", REPLAY["id"]).out
    for part in ("rpl_01JDG3R8Z4000", "failed", "50 a second", "4 purged", "Slack relay"):
        assert part in out
    server.will(answer(REPLAY))
    assert run("replay", "show", REPLAY["id"], "--json").json == REPLAY


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (("plan", "--hook", "3", "--rate", "0"), "--rate"),
        (("run", "--hook", "3", "--rate", "0", "--yes"), "--rate"),
        (("rate", "rpl_1", "0"), "PER_S"),
    ],
)
def test_a_refused_rate_is_said_of_its_parameter(run, server, command, named):
    server.will(problem(422, "rate_per_s must be above 0"))
    assert f"{named} must be above 0" in run("replay", *command).err


def test_steering(run, server):
    server.will(answer(REPLAY))
    assert run("replay", "pause", "rpl_1").code == 0
    assert run("replay", "resume", "rpl_1").code == 0
    assert run("replay", "rate", "rpl_1", "7.5").code == 0
    assert run("replay", "abort", "rpl_1").code == 2
    assert run("replay", "abort", "rpl_1", "--cancel-waiting", "--yes").code == 0
    asked = [(one.method, one.path) for one in server.asked]
    assert asked == [
        ("POST", "/v1/replays/rpl_1/pause"), ("POST", "/v1/replays/rpl_1/resume"),
        ("PATCH", "/v1/replays/rpl_1"), ("POST", "/v1/replays/rpl_1/abort"),
    ]  # fmt: skip
    assert json.loads(server.asked[3].body) == {"cancel_waiting": True}
    server.will(problem(409, "it has ended"))
    assert run("replay", "pause", "rpl_1").code == 1


def test_it_is_allowed_in_restricted_mode(run, server, environ):
    environ["HOOKTUI_RESTRICTED"] = "1"
    server.will(answer({"data": [REPLAY], "total": 1}))
    assert run("replay", "list").code == 0
