"""A diagnosis as lines of the console, without an app."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import pytest

import hooktui
from hooktui.console.formatting import indented_json
from hooktui.console.frame.frame_text import advice_here
from hooktui.console.glyphs import ASCII, UNICODE
from hooktui.console.hooks.diagnosis_text import (
    as_text,
    as_words,
    phase_lines,
    sections_of,
    step_lines,
)
from hooktui.domain.wire.deliveries import Phases
from hooktui.domain.wire.diagnosis import AddressFinding, Certificate, Check, Diagnosis, TlsFinding
from tests.support.wire_objects import AT, KEY, attempt

PHASES = Phases(dns=10.0, connect=20.0, tls=30.0, first_byte=100.0, total=200.0)
FOUND = Diagnosis(
    hook=12, url="https://a.test/in", started_at=AT, state="fail", verdict="it expired",
    fix="renew it", phases_ms=PHASES, addresses=(), tls=None, ping=attempt(), clock_skew_s=None,
    checks=(Check("name", "ok", "found"), Check("clock", "warn", "late", "set it"),
            Check("certificate", "fail", "it expired", "renew it")),
)  # fmt: skip
NASTY = "\x1b]52;c;aGk=\x07\u202e"


def text(lines):
    return ["".join(piece for piece, _ in line) for line in lines]


def test_each_step_says_its_state_by_sign_and_word():
    assert text(step_lines(FOUND.checks, UNICODE, 80)) == [
        " ✓ ok    name          found",
        " ! warn  clock         late",
        " ✗ fail  certificate   it expired",
    ]
    assert text(step_lines(FOUND.checks[:1], UNICODE, 80, "ping"))[1:] == [
        " → …     ping          waiting for the response",
    ]
    assert text(step_lines(FOUND.checks, ASCII, 80))[2].startswith(" x fail")


def test_what_is_not_well_is_reported_whole_on_a_narrow_terminal():
    said = "the certificate of erp-bridge.internal.example expires in 11 days"
    checks = [Check("certificate", "warn", said), Check("name", "ok", said)]
    first, second, *others = text(step_lines(checks, UNICODE, 80))
    assert f"{first[23:]} {second.strip()}" == said
    assert len(first) <= 80
    assert second.startswith(" " * 23)
    assert len(others) == 1


def test_phases_lie_one_after_another_and_fill_the_width():
    lines = text(phase_lines(PHASES, 60, UNICODE))
    assert [line.split()[0] for line in lines] == [
        "name", "connect", "TLS", "first", "reading", "total",
    ]  # fmt: skip
    assert all(len(line) <= 60 for line in lines)
    begins = [line.index("━") for line in lines[:-1]]
    assert begins == sorted(set(begins))
    assert lines[3].count("━") > 2 * lines[2].count("━")
    assert text(phase_lines(PHASES, 60, ASCII))[0].count("=") >= 1


def test_a_phase_that_did_not_happen_has_no_line_and_nothing_at_all_draws_nothing():
    lines = text(phase_lines(Phases(dns=3.0, total=3.0), 60, ASCII))
    assert [line.split()[0] for line in lines] == ["name", "total"]
    assert phase_lines(Phases(), 60, UNICODE) == ()
    assert phase_lines(Phases(total=0.0), 60, UNICODE) == ()
    tiny = Phases(dns=0.001, connect=5_000.0, total=5_000.001)
    assert all(len(line) <= 60 for line in text(phase_lines(tiny, 60, UNICODE)))


def test_what_the_head_says_already_is_not_said_again():
    [todo, *rest] = sections_of(FOUND, KEY, times=False)
    assert todo.pairs == (("clock", "set it"),)
    assert [one.title for one in rest] == ["Response to the ping", "Response headers"]
    times = sections_of(FOUND, KEY, times=True)[1]
    assert times.pairs[-1] == ("total", "200ms")


def test_addresses_and_certificates_are_among_what_was_seen():
    leaf = Certificate(
        subject="a.test",
        issuer="Some authority",
        names=(),
        not_before=AT,
        not_after=AT,
        days_left=-1,
    )
    met = AddressFinding(address="127.0.0.2", connect_ms=3.0)
    missed = AddressFinding(address="127.0.0.3", error="connect", detail="no way")
    found = replace(
        FOUND, addresses=(met, missed, AddressFinding(address="::1")), ping=None,
        tls=TlsFinding(demanded=True, chain=(leaf, replace(leaf, days_left=30))),
    )  # fmt: skip
    addresses, one, two = sections_of(found, KEY, times=False)[1:]
    assert addresses.pairs == (
        ("127.0.0.2", "3ms"), ("127.0.0.3", "no way"), ("::1", "not tried"),
    )  # fmt: skip
    assert (one.note, two.note) == ("expired", "30 days left")


def test_what_is_copied_as_text_acts_nowhere():
    found = replace(FOUND, verdict=NASTY, fix=NASTY, checks=(Check("ping", "fail", NASTY, NASTY),))
    for copied in (as_words(found), as_text(found), indented_json(found)):
        assert "\x1b" not in copied
        assert "\x07" not in copied
    assert "\u202e" not in as_text(found)
    assert as_words(FOUND) == "hook 12, https://a.test/in: it expired\nrenew it"
    assert "fail  certificate   it expired" in as_text(FOUND)


@pytest.mark.parametrize(
    ("advice", "here"),
    [
        ("enable it: hooktui hooks enable 7", "enable it: :hook 7, then a"),
        ("resume with: hooktui resume", "resume with: 4, then a"),
        ("or, hooktui hooks edit 7 --no-verify-tls", "or, :hook 7, then e; untick TLS"),
        ("set --basic-auth or --header of the hook", "set Basic auth or Headers of the hook"),
        ("use --max-in-flight auto, or --rate", "use At once auto, or Rate"),
        ("free some space: hooktui purge", "free some space: hooktui purge"),
    ],
)
def test_advice_names_the_keys_of_the_console(advice, here):
    assert advice_here(advice, KEY) == here


_IN_A_SHELL = ("purge", "keys", "restore", "doctor", "move", "stop")
"""What no screen does."""


# Red when the server gives new advice with a command of the shell, and the console repeats it.
@pytest.mark.parametrize(
    "file", ["domain/diagnosis", "domain/diagnosis_responses", "domain/diagnosis_tls",
             "domain/alert_events", "doctor/rules", "doctor/rows", "offline/doctor"],
)  # fmt: skip
def test_no_advice_names_a_shell_command_that_a_screen_replaces(file):
    source = Path(hooktui.__file__).parent / f"{file}.py"
    nodes = list(ast.walk(ast.parse(source.read_text())))
    joined = [node for node in nodes if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in joined for part in node.values}
    texts = [re.sub(r"\{[^}]*\}", "7", ast.unparse(node)[2:-1]) for node in joined]
    texts += [
        str(node.value)
        for node in nodes
        if isinstance(node, ast.Constant) and id(node) not in parts
    ]
    for text in texts:
        for command in re.findall(r"hooktui ([a-z]+) ?[a-z]*", advice_here(text, KEY)):
            assert command in (*_IN_A_SHELL, "sends"), text
        options = set(re.findall(r"--[a-z-]+", advice_here(text, KEY)))
        assert options <= {"--older-than"}, text
