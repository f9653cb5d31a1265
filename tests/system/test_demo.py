"""``hooktui demo`` from outside: shows what sending is like, repeats itself, and leaves nothing."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path

import psutil
import pytest

from hooktui.demo.runner import PACE
from hooktui.demo.scenario import scenario_events
from tests.support.waiting import wait_for

EVENT_LINE = re.compile(r"^\d\d:\d\d:\d\d  event  (\S+)", re.MULTILINE)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with an installation of the user's own, which the demo must not touch."""
    own, temporary = tmp_path / "own", tmp_path / "temporary"
    own.mkdir()
    temporary.mkdir()
    keep = {k: v for k, v in os.environ.items() if not k.startswith(("HOOKTUI_", "XDG_"))}
    return {
        **keep,
        "HOME": str(own),
        "HOOKTUI_HOME": str(own / "hooktui"),
        "TMPDIR": str(temporary),
        "NO_COLOR": "1",
    }


def start(environ: dict[str, str], *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hooktui", "demo", *arguments],
        env=environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    process = start(environ, *arguments)
    out, err = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def lines_until(
    process: subprocess.Popen[str], enough: Callable[[Sequence[str]], bool]
) -> list[str]:
    """Interrupt a demo once it has written enough lines; return all of its lines."""
    assert process.stdout is not None
    lines: list[str] = []
    while not enough(lines):
        line = process.stdout.readline()
        assert line, "it ended"
        lines.append(line.rstrip("\n"))
    process.send_signal(signal.SIGINT)
    lines += process.stdout.read().splitlines()
    process.wait(60)
    return lines


def events_in(lines: Iterable[str]) -> list[str]:
    """Return the types of the events in the log of a demo."""
    return EVENT_LINE.findall("\n".join(lines))


def homes(environ: dict[str, str]) -> list[Path]:
    return list(Path(environ["TMPDIR"]).iterdir())


def servers(environ: dict[str, str]) -> list[int]:
    """Return processes that work in the temporary folder of this test."""
    found = []
    for process in psutil.process_iter():
        try:
            home = process.environ().get("HOOKTUI_HOME", "")
        except (psutil.AccessDenied, psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if home.startswith(environ["TMPDIR"]):
            found.append(process.pid)
    return found


def nothing_is_left(environ: dict[str, str]) -> bool:
    return not homes(environ) and not servers(environ)


@pytest.mark.slow
def test_twenty_seconds_show_delivered_retried_and_failed(environ):
    result = run(environ, "--headless", "--for", "20s")
    assert result.returncode == 0, result.stderr
    _, _, summary = result.stdout.partition("\nsummary of 2")
    counts = {name: int(n) for name, n in re.findall(r"^  (\w+) +(\d+)", summary, re.MULTILINE)}
    assert counts.keys() >= {"delivered", "retried", "failed", "waiting", "skipped", "disabled"}
    assert min(counts["delivered"], counts["retried"], counts["failed"], counts["skipped"]) > 0
    assert "Retired CI (receiver answered 410 Gone)" in summary
    assert nothing_is_left(environ)
    assert not (Path(environ["HOME"]) / "hooktui").exists()


@pytest.mark.slow
def test_the_same_seed_brings_the_same_events_and_another_seed_others(environ):
    processes = [start(environ, "--headless", "--seed", seed) for seed in ("5", "6")]
    first, other = (
        events_in(lines_until(process, lambda lines: len(events_in(lines)) >= 6))
        for process in processes
    )
    # This process knows the seeds alone.
    assert first == events_of(5, len(first))
    assert other == events_of(6, len(other))
    length = min(len(first), len(other))
    assert first[:length] != other[:length]


def events_of(seed: int, count: int) -> list[str]:
    """Return the types of the first events that a seed brings."""
    return [one.event_type for one in islice(scenario_events(seed, 0, PACE), count)]


def test_a_run_too_short_to_show_everything_says_so(environ):
    result = run(environ, "--headless", "--for", "1s")
    assert result.returncode == 0  # it did what was asked for
    assert re.search(r"no .*failed deliveries in", result.stderr)
    assert "summary of" in result.stdout


def test_as_json_every_line_is_one_and_the_last_is_the_summary(environ):
    for time in ("2s", "8s", "30s"):  # on a busy machine little happens in two seconds
        result = run(environ, "--headless", "--for", time, "--json")
        lines = [json.loads(line) for line in result.stdout.splitlines()]
        if {line["kind"] for line in lines} >= {"event", "attempt", "hook"}:
            break
    else:
        pytest.fail("some kinds of lines are missing")
    assert lines[-1]["kind"] == "summary"
    assert lines[-1]["events"] == sum(line["kind"] == "event" for line in lines)


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, None), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_however_it_is_ended_nothing_is_left_behind(environ, number, status):
    process = start(environ, "--headless")
    assert process.stdout is not None
    assert process.stdout.readline()
    assert homes(environ)
    assert servers(environ)
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    if status is not None:
        assert process.returncode == status
    else:
        assert "summary of" in out
    wait_for(lambda: nothing_is_left(environ), what="server and home are gone")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "needs a terminal"),
        (("--headless", "--for", "soon"), "is not a duration"),
        (("--headless", "--seed", "-1"), "--seed"),
        (("--headless", "--connect", "https://example.com"), "brings its own server"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_exit_code_2(environ, arguments, message):
    result = run(environ, *arguments)
    assert result.returncode == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert nothing_is_left(environ)
