"""Times, numbers, glyphs and what a hook's state is called."""

from dataclasses import replace

import pytest

from hooktui.console.formatting import ago, lag, size, took, whole_percent
from hooktui.console.glyphs import ASCII, UNICODE, Glyphs, sparkline
from hooktui.console.hooks.columns import host, last, state, success, trend
from hooktui.domain.clock import to_rfc3339
from hooktui.domain.text import counted
from hooktui.domain.wire.hooks import Hook, HookStats

NOW = 1_800_000_000_000

HOOK = Hook(
    id=12, account=1, type="web", name="billing", url="https://x.example:8443/in?a=b",
    events=("job",), active=True, disabled_reason=None, disabled_at=None, headers={},
    sensitive_headers=(), basic_auth=None, signature_hash="sha256", verify_tls=True, timeout_s=30,
    retry_schedule_s=(), rate_per_s=None, max_in_flight=10, ordered=False, filter=None,
    created_at="", updated_at="", version=1, stats=HookStats(),
)  # fmt: skip


def with_stats(**stats: object) -> Hook:
    return replace(HOOK, stats=HookStats(**stats))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "now"), (59, "now"), (60, "1m"), (3599, "59m"), (7200, "2h"), (86_400 * 3, "3d")],
)
def test_a_time_is_shown_in_its_largest_unit(seconds: int, text: str):
    assert ago(to_rfc3339(NOW - seconds * 1000), NOW) == text


def test_durations_and_sizes_carry_their_units():
    assert [took(ms) for ms in (0.4, 12, 999, 1400, 31_000)] == [
        "0ms",
        "12ms",
        "999ms",
        "1.4s",
        "31s",
    ]
    assert [size(n) for n in (0, 812, 1400, 14_000, 1_200_000)] == [
        "0B",
        "812B",
        "1.4kB",
        "14kB",
        "1.2MB",
    ]
    assert (took(None), size(None)) == ("", "")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-3, ""), (4, ""), (5, "5.0s behind"), (59, "59s behind"), (61, "1m behind")],
)
def test_a_lag_is_shown_once_it_misleads(seconds: int, text: str):
    assert lag(NOW - seconds * 1000, NOW) == text
    assert lag(None, NOW) == ""


def test_a_count_agrees_with_its_noun():
    assert counted(1, "hook") == "1 hook"
    assert counted(1200, "delivery") == "1,200 deliveries"


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_every_sign_is_one_cell_wide(glyphs: Glyphs):
    from rich.cells import cell_len

    for name in Glyphs.__dataclass_fields__:
        value = getattr(glyphs, name)
        letters = value if name == "bars" else [value] if len(value) == 1 else []
        assert all(cell_len(letter) == 1 for letter in letters), name


def test_ascii_signs_are_ascii():
    assert all(getattr(ASCII, name).isascii() for name in Glyphs.__dataclass_fields__)


@pytest.mark.parametrize(
    ("hook", "words"),
    [
        (HOOK, "● active"),
        (with_stats(last_status=200), "● active"),
        (with_stats(last_status=503), "↻ retrying"),
        (with_stats(last_status="timeout"), "↻ retrying"),
        (with_stats(last_status=200, breaker="open"), "↻ retrying"),
        (with_stats(last_status=503, failing=True), "! failing"),
        (with_stats(last_status=503, failing=True, breaker="open"), "! failing"),
        (replace(HOOK, active=False, disabled_reason="disabled by hand"), "○ disabled"),
        (replace(HOOK, active=False, disabled_reason="receiver answered 410 Gone"), "○ gone 410"),
        (replace(HOOK, active=False, disabled_reason="no success for 5 days"), "○ gave up"),
    ],
)
def test_a_state_is_a_sign_and_a_word(hook: Hook, words: str):
    assert "".join(text for text, _ in state(hook, UNICODE)) == words


def test_a_disabled_hook_is_not_called_failing():
    assert not replace(with_stats(last_status=500, failing=True), active=False).failing
    assert not replace(with_stats(last_status=500), active=False).retrying


def test_nearly_all_is_not_shown_as_all():
    assert success(with_stats(success_24h=0.9996)) == (("99%", "quiet"),)
    assert success(with_stats(success_24h=1.0)) == (("100%", "quiet"),)
    assert [whole_percent(n / 100) for n in range(101)] == [*range(101)]
    assert success(HOOK) == ()


def test_the_trend_shows_three_hours_in_a_cell():
    hourly = (*[(10, 0)] * 21, (0, 4), (0, 4), (0, 4))
    bars = trend(with_stats(hourly=hourly), UNICODE)
    assert "".join(bar for bar, _ in bars) == "▁" * 7 + "█"
    assert bars[-1][1] == "bad"


def test_a_sparkline_leaves_out_what_was_not_counted():
    assert sparkline([None, 0.0, 0.001, 1.0], UNICODE) == " ▁▂█"


def test_the_host_of_a_url_is_shown_with_its_port():
    assert host(HOOK.url) == "x.example:8443"
    assert last(with_stats(last_status=200)) == (("200", "quiet"),)
