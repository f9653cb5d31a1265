"""verify, completion, version, tokens, accounts, status, and times."""

import json
import subprocess
import time

import pytest

from hooktui.cli import time_format
from hooktui.cli.exit_codes import UsageError
from hooktui.doctor.rules import affected
from hooktui.domain.clock import now_ms, parse_duration_s, to_rfc3339
from hooktui.domain.signatures import hook_signature, standard_key, standard_signature
from tests.support.scripted_server import answer

GITHUB = "757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
VERIFY = ("verify", "--secret", "It's a Secret to Everybody", "--signature")


STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def signed(age_s=0, body=b"{}"):
    """Return the options that verify a webhook-signature of that age."""
    moment = int(time.time()) - age_s
    key = standard_key(STANDARD)
    return ("verify", "--secret", STANDARD, "--id", "evt_1", "--timestamp", str(moment),
            "--webhook-signature", standard_signature(key, "evt_1", moment, body))  # fmt: skip


def test_the_vector_of_github_verifies(run):
    result = run(*VERIFY, GITHUB, stdin=b"Hello, World!")
    assert (result.code, result.out) == (0, "ok\n")
    assert "the age was not checked" in result.err


def test_a_mismatch_is_exit_1(run):
    for signature, body in ((GITHUB, b"Hello, World"), ("0" * 64, b"Hello, World!"), ("é", b"")):
        result = run(*VERIFY, signature, stdin=body)
        assert (result.code, result.out) == (1, "mismatch\n")
    result = run(*VERIFY, "00", "--json", stdin=b"").json
    assert result == {"verified": False, "result": "mismatch", "age_checked": False}


# Red when the age is not looked at, in either direction, or the tolerance is another one.
@pytest.mark.parametrize(
    ("age_s", "options", "says"),
    [
        (0, (), "ok"), (240, (), "ok"), (-240, (), "ok"), (400, (), "stale"), (-400, (), "stale"),
        (400, ("--tolerance", "1h"), "ok"), (60, ("--tolerance", "10s"), "stale"),
        (10**9, (), "stale"),
    ],
)  # fmt: skip
def test_a_webhook_signature_verifies_while_it_is_recent(run, age_s, options, says):
    result = run(*signed(age_s), *options, stdin=b"{}")
    assert (result.code, result.out) == (0 if says == "ok" else 1, f"{says}\n")
    assert ("from now; --tolerance is" in result.err) is (says == "stale")
    assert "not checked" not in result.err
    shown = run(*signed(age_s), *options, "--json", stdin=b"{}").json
    assert shown == {"verified": says == "ok", "result": says, "age_checked": True}


def test_a_wrong_webhook_signature_is_a_mismatch_however_recent(run):
    for given in (signed(), signed(10**6)):
        result = run(*given, stdin=b"[]")
        assert (result.code, result.out) == (1, "mismatch\n")


def test_both_signatures_must_be_right(run):
    given = (*signed(), "--signature")
    assert run(*given, "00", stdin=b"{}").out == "mismatch\n"
    assert run(*given, hook_signature(STANDARD, b"{}"), stdin=b"{}").out == "ok\n"
    stale = (*signed(10**6), "--signature", hook_signature(STANDARD, b"{}"))
    assert run(*stale, stdin=b"{}").out == "stale\n"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--secret", "", "--signature", "00"), "--secret is empty"),
        (("--secret", STANDARD), "nothing to verify; give --webhook-signature"),
        (("--secret", STANDARD, "--webhook-signature", "v1,x"), "needs --id"),
        (("--secret", STANDARD, "--webhook-signature", "v1,x", "--id", "a"), "needs --timestamp"),
        (("--secret", STANDARD, "--webhook-signature", "v1,x", "--id", "a", "--timestamp", "now"),
         "'now' is not a time in Unix seconds"),
        (("--secret", "It's a Secret to Everybody", "--webhook-signature", "v1,x", "--id", "a",
          "--timestamp", "1"), "only whsec_ secrets sign webhook-signature"),
        (("--secret", STANDARD, "--signature", "00", "--timestamp", "1"),
         "--timestamp needs --webhook-signature"),
        (("--secret", STANDARD, "--signature", "00", "--tolerance", "5m"),
         "--tolerance needs --webhook-signature"),
        (("--secret", STANDARD, "--signature", "00", "--tolerance", "soon"),
         "'soon' is not a duration"),
    ],
)  # fmt: skip
def test_what_cannot_be_verified_is_a_usage_error(run, arguments, says):
    result = run("verify", *arguments, stdin=b"{}")
    assert (result.code, result.out) == (2, "")
    assert says in result.err
    assert result.err.count("\n") == 1


def test_a_secret_to_verify_with_may_lie_in_a_file(run, tmp_path):
    (tmp_path / "secret").write_text("It's a Secret to Everybody\n")
    secret = f"@{tmp_path / 'secret'}"
    result = run("verify", "--secret", secret, "--signature", GITHUB, stdin=b"Hello, World!")
    assert result.code == 0


def test_stdin_cannot_hold_both_the_secret_and_the_body(run):
    result = run("verify", "--secret", "-", "--signature", GITHUB, stdin=b"Hello, World!")
    assert (result.code, result.out) == (2, "")
    assert result.err == "hooktui: only one value can be read from stdin (-)\n"


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 6, 23), False), ((3, 7, 0), True), ((3, 44, 5), True), ((3, 44, 6), False),
        ((3, 45, 1), True), ((3, 46, 1), True), ((3, 50, 6), True), ((3, 50, 7), False),
        ((3, 51, 0), True), ((3, 51, 2), True), ((3, 51, 3), False), ((3, 52, 0), False),
    ],
)  # fmt: skip
def test_the_wal_reset_bug_is_known_by_version(version, expected):
    assert affected(version) is expected


def test_the_version_names_sqlite(run):
    result = run("--version")
    assert result.code == 0
    assert result.out.startswith("hooktui 0.1.0 (Python 3.")
    assert "SQLite 3." in result.out
    assert "WAL-reset bug" in result.out


def test_the_completion_of_bash_is_a_script_that_knows_the_commands(run):
    script = run("completion", "bash").out
    checked = subprocess.run(["bash", "-n"], input=script.encode(), capture_output=True)
    assert checked.returncode == 0, checked.stderr
    for word in ("deliveries", "--retry-schedule", "resend"):
        assert word in script
    for shell in ("zsh", "fish"):
        assert "deliveries" in run("completion", shell).out


TOKEN = {"id": 4, "name": "ci", "role": "producer", "account": 2, "token": "hkt_4_x",
         "created_at": "2026-11-25T00:00:00.000Z", "expires_at": None,
         "last_used_at": None}  # fmt: skip


def test_a_token_is_printed_once_and_bound_to_the_account(run, server):
    server.will(answer(TOKEN, 201))
    result = run("tokens", "create", "ci", "--role", "producer", "--account", "2",
                 "--expires", "2099-01-01T00:00:00Z")  # fmt: skip
    assert result.out == "hkt_4_x\n"
    assert json.loads(server.asked[0].body) == {
        "name": "ci", "role": "producer", "account": 2, "expires_at": "2099-01-01T00:00:00.000Z",
    }  # fmt: skip
    assert run("tokens", "create", "--name", "ci", "--role", "producer", "--json").json == TOKEN
    assert "account" not in json.loads(server.asked[-1].body)


def test_tokens_are_listed_with_what_they_may_and_when_they_end(run, server):
    used = TOKEN | {"token": None, "last_used_at": to_rfc3339(now_ms() - 200_000)}
    ending = used | {"id": 5, "name": "\x1b[2J", "role": "admin", "account": None,
                     "expires_at": to_rfc3339(now_ms() + 7_300_000)}  # fmt: skip
    server.will(answer({"data": [used, ending], "next": None, "prev": None, "total": 2,
                        "total_is_estimate": False}))  # fmt: skip
    titles, one, other = run("tokens", "list").out.splitlines()
    assert titles.split() == ["ID", "NAME", "ROLE", "ACCOUNT", "CREATED", "EXPIRES", "LAST", "USED"]
    assert one.split()[:4] == ["4", "ci", "producer", "2"]
    assert one.split()[-4:] == ["never", "3", "min", "ago"]
    assert other.split()[:4] == ["5", "␛[2J", "admin", "all"]
    assert "in 2 h" in other


def test_an_account_is_made(run, server):
    account = {"id": 2, "name": "acme", "created_at": "2026-11-25T00:00:00.000Z"}
    server.will(answer(account, 201))
    assert run("accounts", "create", "acme").out == "2\n"
    assert json.loads(server.asked[0].body) == {"name": "acme"}


def test_times_are_relative():
    for back_s, text in ((5, "5 s ago"), (200, "3 min ago"), (-7300, "in 2 h"), (9e5, "10 d ago")):
        assert time_format.ago(to_rfc3339(now_ms() - int(back_s * 1000))) == text
    assert time_format.ago(None) == "never"


# Red when what is left is rounded down: `--overlap 7d` expired "in 6 d".
@pytest.mark.parametrize(
    ("text", "in_words"),
    [("1s", "in 1 s"), ("59s", "in 59 s"), ("1m", "in 1 min"), ("59m", "in 59 min"),
     ("1h", "in 1 h"), ("23h", "in 23 h"), ("24h", "in 1 d"), ("7d", "in 7 d"), ("30d", "in 30 d")],
)  # fmt: skip
def test_what_is_left_right_after_a_change_is_what_was_given(monkeypatch, text, in_words):
    now = now_ms()
    until = to_rfc3339(now + int(parse_duration_s(text) * 1000))
    since = to_rfc3339(now - int(parse_duration_s(text) * 1000))
    for passed_ms in (0, 3, 400):
        monkeypatch.setattr(time_format, "now_ms", lambda passed_ms=passed_ms: now + passed_ms)
        assert time_format.ago(until) == in_words
        assert f"in {time_format.ago(since)}" == f"{in_words} ago"
    for back_s, words in ((119, "1 min ago"), (7199, "1 h ago"), (2 * 86_400 - 1, "1 d ago")):
        monkeypatch.setattr(time_format, "now_ms", lambda back_s=back_s: now + back_s * 1000)
        assert time_format.ago(to_rfc3339(now)) == words


# Red when the zone must be one that a datetime can have: `log` ended with an internal error.
@pytest.mark.parametrize("zone", ["UTC", "Asia/Kolkata", "Nonsense/Zone", "UTC+25:99"])
def test_a_time_is_shown_in_any_zone(monkeypatch, zone):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert len(time_format.clock(to_rfc3339(now_ms()))) == len("14:03:07")
        assert len(time_format.clock("2020-01-02T03:04:05Z")) == len("2020-01-02 03:04:05")
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_moment_ahead_is_a_duration_or_a_time():
    assert (
        time_format.moment_ahead("--x", "2030-01-02T03:04:05+01:00") == "2030-01-02T02:04:05.000Z"
    )
    assert time_format.moment_ahead("--x", "1d") > to_rfc3339(now_ms() + 86_000_000)
    # Red when the message names only durations, or when 90 is 90 seconds.
    for text in ("never", "90"):
        with pytest.raises(UsageError) as wrong:
            time_format.moment_ahead("--x", text)
        assert str(wrong.value.detail) == (
            f"--x: '{text}' is not a time; write it as 30d or 2026-11-25T03:04:05Z"
        )


# Red when only the console shows which hooks wait for a probe of their breaker.
def test_the_status_names_the_open_breakers(run, server):
    status = {
        "version": "1", "database": None, "role": "viewer", "user": "ann", "servers": [],
        "backlog": {"count": 0, "held": 0, "oldest_due_at": None, "hooks": []}, "rates": None,
        "disk": None,
    }  # fmt: skip

    def breaker(hook, in_ms):
        probe_at = to_rfc3339(now_ms() + in_ms)
        return {"hook": hook, "name": f"relay {hook}", "probe_at": probe_at, "failures": 10 + hook}

    breakers = [breaker(1, 3_600_000), *(breaker(hook, -5_000) for hook in range(2, 9))]
    paused = {"paused": {"at": to_rfc3339(now_ms()), "by": "ann"}}
    server.will(
        answer(status | {"breakers": breakers}), answer(status | paused | {"breakers": breakers}),
        answer(status),
    )  # fmt: skip
    shown = run("status").out
    assert "hook 1 (relay 1) open after 11 failures, probe in 1 h; hook 2 (relay 2) open" in shown
    assert "hook 5 (relay 5) open after 15 failures, probe due; 3 more\n" in shown
    assert "probe" not in run("status").out
    assert "breakers" not in run("status").out
