"""The commands about hooks: what they ask the server, and what they say."""

import json
import re
from pathlib import Path

import pytest

from tests.support.scripted_server import ATTEMPT, DELIVERY, HOOK, Answer, answer, problem

CREATED = {**HOOK, "secret": "whsec_abc", "warnings": ["x.test does not resolve"]}


def sent(server, place=-1):
    return json.loads(server.asked[place].body)


def create(run, *options, stdin=b""):
    return run(
        *("hooks", "create", "--url", "https://x.test/in", "--events", "job, cluster.error"),
        *options,
        stdin=stdin,
    )


def test_create_sends_only_what_was_said(run, server):
    server.will(answer(CREATED, 201))
    result = create(run)
    assert result.code == 0
    assert sent(server) == {"url": "https://x.test/in", "events": ["job", "cluster.error"]}
    assert "whsec_abc" in result.out
    assert "hooktui hooks ping 12" in result.err
    assert "warning: x.test does not resolve" in result.err


def test_create_says_everything(run, server, tmp_path):
    (tmp_path / "key").write_text("sesame\n")
    server.will(answer(CREATED, 201))
    create(
        run,
        *("--name", "n", "--type", "web", "--inactive", "--secret", "s" * 20),
        *("--header", "A=1=2", "--header", f"B=@{tmp_path / 'key'}", "--signature-hash", "sha1"),
        *("--timeout", "10s", "--retry-schedule", "5s,5m", "--rate", "2.5"),
        *("--max-in-flight", "3", "--ordered", "--filter", "data.a:1", "--no-verify-tls"),
        *("--basic-auth", "me:pass:word"),
    )
    assert sent(server) == {
        "url": "https://x.test/in", "events": ["job", "cluster.error"], "name": "n", "type": "web",
        "active": False, "secret": "s" * 20, "headers": {"A": "1=2", "B": "sesame"},
        "sensitive_headers": ["B"], "signature_hash": "sha1", "timeout_s": 10,
        "retry_schedule_s": [5, 300], "rate_per_s": 2.5, "max_in_flight": 3,
        "max_in_flight_cap": None, "ordered": True,
        "filter": "data.a:1", "verify_tls": False,
        "basic_auth": {"user": "me", "password": "pass:word"},
    }  # fmt: skip


def test_create_as_json_is_the_whole_object(run, server):
    server.will(answer(CREATED, 201))
    assert create(run, "--json").json == CREATED


@pytest.mark.parametrize(("option", "field"), [("--secret", "secret"), ("--header=K", "headers")])
def test_secret_values_come_from_stdin(run, server, option, field):
    server.will(answer(CREATED, 201))
    options = ("--header", "K=-") if field == "headers" else (option, "-")
    create(run, *options, stdin=b"from the pipe \n")
    assert "from the pipe " in json.dumps(sent(server)[field])


# Red when a value is read to its end: a device without one filled the memory of the machine.
def test_a_secret_value_is_bounded(run, server):
    result = create(run, "--secret", "-", stdin=bytes(64 * 1024 + 1))
    assert result.code == 2
    assert "over 64 KiB" in result.err


def test_stdin_is_read_once(run, server):
    assert create(run, "--secret", "-", "--basic-auth", "-", stdin=b"x").code == 2


def test_a_password_alone_may_come_from_a_file(run, server, tmp_path):
    (tmp_path / "password").write_text("p:w\n")
    server.will(answer(HOOK))
    run("hooks", "edit", "12", "--basic-auth", f"me:@{tmp_path / 'password'}")
    assert sent(server) == {"basic_auth": {"user": "me", "password": "p:w"}}


# Red when a password out of a file is read once more: it named another file, or was stdin.
@pytest.mark.parametrize("password", ["@nofile", "-", "@/etc/passwd", ":"])
def test_a_file_that_holds_both_is_taken_as_it_is(run, server, tmp_path, password):
    (tmp_path / "both").write_text(f"me:{password}\n")
    server.will(answer(HOOK))
    run("hooks", "edit", "12", "--basic-auth", f"@{tmp_path / 'both'}")
    assert sent(server) == {"basic_auth": {"user": "me", "password": password}}


def test_edit_changes_what_is_named(run, server):
    server.will(answer(HOOK))
    run("hooks", "edit", "12", "--inactive", "--verify-tls", "--no-ordered")
    assert server.asked[0].method == "PATCH"
    assert sent(server) == {"active": False, "verify_tls": True, "ordered": False}


@pytest.mark.parametrize(
    ("text", "limit", "cap"), [("auto", None, None), ("auto:50", None, 50), ("20", 20, None)]
)
def test_edit_sets_the_limit_of_attempts_at_once_and_its_cap(run, server, text, limit, cap):
    fields = {"max_in_flight": limit, "max_in_flight_cap": cap}
    server.will(answer(HOOK | fields))
    result = run("hooks", "edit", "12", "--max-in-flight", text)
    assert sent(server) == fields
    words = {"auto": "auto", "auto:50": "auto, at most 50", "20": "at most 20"}[text]
    assert f"at once    {words}\n" in result.out


def test_a_limit_that_is_no_limit_is_a_usage_error(run, server):
    result = run("hooks", "edit", "12", "--max-in-flight", "many")
    assert result.code == 2
    assert "--max-in-flight: 'many' is not auto, auto:N or a whole number" in result.err


def test_programs_read_the_field_that_the_server_refused(run, server):
    server.will(problem(422, "timeout_s must be from 1 to 30 s, not 99"))
    assert "--timeout must be" in run("hooks", "edit", "12", "--timeout", "99").err
    refused = run("hooks", "edit", "12", "--timeout", "99", "--json")
    assert json.loads(refused.err)["detail"] == "timeout_s must be from 1 to 30 s, not 99"


@pytest.mark.parametrize(
    ("stats", "state"),
    [
        ({"last_status": 200}, "active"),
        ({"last_status": 503}, "retrying"),  # red: it was active, and `status:retrying` found it
        ({"last_status": "timeout", "failing": True}, "failing"),
        ({"last_status": 503, "breaker": "open"}, "breaker open"),
        ({"last_status": 503, "breaker": "half_open"}, "breaker open"),
    ],
)
def test_a_list_shows_the_state_that_its_filter_means(run, server, stats, state):
    hook = {**HOOK, "active": True, "stats": {**HOOK["stats"], **stats}}
    server.will(answer({"data": [hook], "next": None, "prev": None, "total": 1}))
    assert state in run("hooks", "list").out


# Red when only the list names an open breaker: a hook that is failing as well did not show it.
@pytest.mark.parametrize(
    ("breaker", "shown"),
    [("open", "breaker    open\n"), ("half_open", "breaker    open; a probe is due\n")],
)
def test_show_says_that_the_breaker_is_open(run, server, breaker, shown):
    failing = {**HOOK["stats"], "last_status": 503, "failing": True, "breaker": breaker}
    server.will(answer(HOOK | {"active": True, "stats": failing}), answer(HOOK))
    assert shown in run("hooks", "show", "12").out
    assert "breaker" not in run("hooks", "show", "12").out


# Red when a thousand has no comma, as `status` writes it.
def test_large_backlogs_are_written_alike(run, server):
    hook = {**HOOK, "stats": {**HOOK["stats"], "waiting": 1_003, "held": 2_000}}
    server.will(answer({"data": [hook], "next": None, "prev": None, "total": 1}), answer(hook))
    assert "3,003" in run("hooks", "list").out
    assert "1,003 to be sent, 2,000 held" in run("hooks", "show", "12").out


def test_show_says_the_present_pace(run, server):
    pace = {"in_flight": 17, "in_flight_limit": 20, "max_in_flight": None}
    limited_by = {"kind": "rate", "response": "429", "per_s": 4.87}
    server.will(answer(HOOK | pace | {"limited_by": limited_by}))
    words = "17 of 20 (auto; 4.9 a second, as its 429 responses ask for)"
    assert f"in flight  {words}\n" in run("hooks", "show", "12").out


def test_edit_clears_what_is_empty(run, server):
    server.will(answer(HOOK))
    run("hooks", "edit", "12", "--filter", "", "--rate", "", "--basic-auth=",
        "--retry-schedule", "")  # fmt: skip
    assert sent(server) == {
        "filter": None, "rate_per_s": None, "basic_auth": None, "retry_schedule_s": [],
    }  # fmt: skip


def test_edit_sets_one_header_and_keeps_the_others(run, server):
    server.will(answer(HOOK))
    run("hooks", "edit", "12", "--header", "x-a=2", "--header", "New=3")
    assert sent(server) == {
        "headers": {"X-Key": "***", "x-a": "2", "New": "3"},
        "sensitive_headers": ["X-Key"],
        "version": 3,
    }
    run("hooks", "edit", "12", "--header", "X-Key=")
    assert sent(server)["headers"] == {"X-A": "1"}
    assert sent(server)["sensitive_headers"] == []


def test_a_mark_stays_with_its_header_whatever_its_case(run, server, tmp_path):
    # Red when names are compared with case: the new value would be readable.
    server.will(answer(HOOK))
    run("hooks", "edit", "12", "--header", "x-kEY=new")
    assert sent(server)["headers"] == {"X-A": "1", "x-kEY": "new"}
    assert sent(server)["sensitive_headers"] == ["x-kEY"]
    (tmp_path / "value").write_text("from a file\n")
    run("hooks", "edit", "12", "--header", f"x-a=@{tmp_path / 'value'}")
    assert sent(server)["sensitive_headers"] == ["X-Key", "x-a"]


def test_an_edit_may_name_the_version_that_was_read(run, server):
    late = "hook 12 is at version 4, you read 3: ann changed it at 2026-11-25T03:04:05.000Z; read"
    server.will(problem(409, late))
    result = run("hooks", "edit", "12", "--name", "x", "--if-version", "3")
    assert sent(server) == {"name": "x", "version": 3}
    assert (result.code, result.err) == (1, f"hooktui: {late}\n")


def test_enable_and_disable_several(run, server):
    server.will(answer(HOOK), problem(404, "no hook 13"), answer(HOOK))
    result = run("hooks", "disable", "12", "13", "14", "--json")
    assert result.code == 3
    assert len(result.json) == 2
    assert json.loads(result.err)["detail"] == "no hook 13"
    assert [json.loads(asked.body) for asked in server.asked] == [{"active": False}] * 3
    assert run("hooks", "enable", "12", "--json").json == HOOK


# Red when the notes are "deleted" and "revoked": one of two ids may have failed.
def test_a_deletion_names_what_is_gone(run, server):
    server.will(Answer(204), problem(404, "no hook 13"), Answer(204))
    result = run("hooks", "delete", "12", "13", "14", "--yes")
    notes = ["hook 12 is deleted", "hooktui: no hook 13", "hook 14 is deleted"]
    assert (result.code, result.err.splitlines()) == (3, notes)
    server.will(Answer(204))
    assert run("tokens", "revoke", "4", "--yes").err == "token 4 is revoked\n"


def test_delete_asks_for_yes_and_then_says_nothing_to_programs(run, server):
    server.will(Answer(204))
    refused = run("hooks", "delete", "12")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert server.asked == []
    result = run("hooks", "delete", "12", "--yes", "--json")
    assert (result.code, result.err) == (0, "")
    assert server.asked[0].method == "DELETE"


def pinged(status):
    attempt = ATTEMPT if status == "failed" else {**ATTEMPT, "status_code": 200, "error": None}
    delivery = {**DELIVERY, "status": status, "attempts": [attempt], "request": None,
                "string_signed": None, "trigger": "ping"}  # fmt: skip
    return answer({"delivery": delivery})


# Red when the error is a list of Python.
def test_what_a_command_does_not_take_is_named(run, server):
    result = run("hooks", "show", "2", "3", "4")
    assert (result.code, result.out) == (2, "")
    assert result.err == "hooktui: unexpected argument: 3 4; see --help\n"
    assert server.asked == []


def test_a_ping_ends_as_the_receiver_answered(run, server):
    server.will(pinged("delivered"))
    assert run("hooks", "ping", "12").code == 0
    server.will(pinged("failed"))
    result = run("hooks", "ping", "12")
    assert result.code == 1
    assert "500" in result.out
    assert "oops" in result.out
    asjson = run("hooks", "ping", "12", "--json")
    assert asjson.code == 1
    assert asjson.json["delivery"]["status"] == "failed"


def test_several_hooks_are_pinged_and_the_code_says_whether_all_responded_well(run, server):
    server.will(pinged("delivered"), pinged("failed"))
    result = run("hooks", "ping", "12", "13", "12")
    assert result.code == 1
    assert [asked.path for asked in server.asked] == ["/v1/hooks/12/ping", "/v1/hooks/13/ping"]
    assert result.out.count("ping of hook ") == 2
    server.will(problem(404, "there is no hook 14"), pinged("delivered"))
    result = run("hooks", "ping", "14", "12", "--json")
    assert (result.code, len(result.json)) == (3, 1)


SECRETS = {
    "secret": "whsec_new",
    "secrets": [
        {"secret": "whsec_new", "created_at": "2026-11-25T00:00:00.000Z", "expires_at": None,
         "last_used_at": None},
        {"secret": "whsec_old", "created_at": "2026-11-24T00:00:00.000Z",
         "expires_at": "2026-11-26T00:00:00.000Z", "last_used_at": None},
    ],
}  # fmt: skip


def test_a_secret_is_shown_rotated_and_finished(run, server):
    server.will(answer(SECRETS))
    assert run("hooks", "secret", "12").out == "whsec_new\n"
    assert (server.asked[-1].method, server.asked[-1].path) == ("GET", "/v1/hooks/12/secret")
    run("hooks", "secret", "12", "--rotate", "--overlap", "2h", "--secret", "-", stdin=b"mine\n")
    assert server.asked[-1].path == "/v1/hooks/12/secret/rotate"
    assert sent(server) == {"secret": "mine", "overlap_s": 7200}
    run("hooks", "secret", "12", "--rotate")
    assert sent(server) == {}
    assert run("hooks", "secret", "12", "--finish", "--json").json == SECRETS
    assert server.asked[-1].path == "/v1/hooks/12/secret/finish"


def test_show_tells_what_matters(run, server):
    disabled = {"active": False, "disabled_reason": "receiver answered 410 Gone",
                "disabled_at": "2026-11-25T00:00:00.000Z", "filter": "data.a:1"}  # fmt: skip
    server.will(answer({**HOOK, **disabled}))
    out = run("hooks", "show", "12").out
    for part in ("billing", "disabled", "410 Gone", "job, cluster.error", "data.a:1",
                 "after 5s, 5m", "X-Key: ***", "2 to be sent, 1 held"):  # fmt: skip
        assert part in out


RUN = {
    "looked": 1000, "since": "2026-11-25T12:00:00.000Z", "sent": 214, "sent_now": 217, "more": 0,
    "fewer": 3, "unknown": 0,
    "data": [{"id": "evt_0000000000001", "type": "job.failed",
              "created_at": "2026-11-25T12:00:00.000Z", "change": "fewer"}],
}  # fmt: skip


def test_a_dry_run_of_a_new_hook_sends_what_decides_and_makes_nothing(run, server):
    # Red when --dry-run makes the hook.
    server.will(answer({**RUN, "sent_now": None}))
    result = create(run, "--filter", "data.a:1", "--dry-run")
    assert result.code == 0
    assert server.asked[-1].path.startswith("/v1/hooks/dry-run")
    assert sent(server) == {"events": ["job", "cluster.error"], "filter": "data.a:1"}
    assert "would have received 214 of the last 1,000 events" in result.out
    assert "nothing was sent or saved" in result.err


def test_a_dry_run_of_an_edit_says_which_events_it_is_about(run, server):
    server.will(answer(RUN))
    result = run("hooks", "edit", "12", "--filter", "", "--dry-run")
    assert sent(server) == {"hook": 12, "filter": None}
    assert "3 fewer than now" in result.out
    assert "evt_0000000000001" in result.out
    assert "no longer sent" in result.out
    server.will(answer(RUN))
    assert run("hooks", "edit", "12", "--events", "job", "--dry-run", "--json").json == RUN


def test_a_dry_run_needs_something_to_try(run, server):
    assert run("hooks", "edit", "12", "--name", "x", "--dry-run").code == 2
    assert run("hooks", "create", "--url", "https://x.test", "--dry-run").code == 2
    assert server.asked == []


@pytest.mark.parametrize(
    "option",
    [
        ("--timeout", "soon"), ("--retry-schedule", "5s,never"), ("--rate", "nan"),
        ("--max-in-flight", "auto:x"),
    ],
    ids=" ".join,
)  # fmt: skip
def test_a_dry_run_reads_also_the_options_that_it_does_not_try(run, server, option):
    # Red when it succeeds with a command line that fails without --dry-run.
    for command in (("hooks", "create", "--url", "https://x.test"), ("hooks", "edit", "12")):
        result = run(*command, "--events", "job", *option, "--dry-run")
        assert result.code == 2
        assert result.err.startswith(f"hooktui: {option[0]}: ")
    assert server.asked == []


ROOT = Path(__file__).parents[2]
HOOKS_CREATE = ("hooks", "create")
_ONCE = re.compile(r"secret[^.|\n]* (?:only|shown|printed) once")
_TEXTS = [path for top, kind in (("hooktui", "*.py"), ("docs", "*.md"))
          for path in (ROOT / top).rglob(kind) if path.name != "glossary.md"]  # fmt: skip


# Red when a text says that a hook's secret is shown once: `hooks secret` shows it again.
def test_no_text_claims_that_the_secret_of_a_hook_is_shown_once(run):
    assert len(_TEXTS) > 400
    texts = {str(path): path.read_text() for path in [ROOT / "README.md", *_TEXTS]}
    texts |= {" ".join(asked): run(*asked, "--help").out for asked in (("hooks",), HOOKS_CREATE)}
    assert [name for name, text in texts.items() if _ONCE.search(text)] == []
    assert "hooks secret" in run(*HOOKS_CREATE, "--help").out
