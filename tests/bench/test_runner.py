"""A tiny measurement from end to end: real server, sink and producer."""

import contextlib
import json
import os
import signal
import subprocess
import sys

import psutil
import pytest

from hooktui.cli.main import main
from tests.support.waiting import wait_for


def bench(*arguments, **environ):
    return subprocess.run(
        [sys.executable, "-m", "hooktui", "bench", *arguments],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.fixture
def measured(capsys):
    """Measure with a command that runs in this process; return the report of each case."""

    def measure(*arguments):
        code = main(("bench", "--json", "--rounds", "1", *arguments), os.environ)
        out, err = capsys.readouterr()
        assert code == 0, err
        return json.loads(out)["cases"]

    return measure


@pytest.mark.slow
def test_a_tiny_run_loses_nothing_and_tells_programs_what_it_measured():
    run = bench("--json", "--rounds", "1", "--events", "300", "--case", "one-hook")
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["good"] is True
    assert set(report) == {
        "machine",
        "database",
        "rounds",
        "sink_per_s",
        "baseline_per_s",
        "transport_per_s",
        "cases",
        "good",
        "goals",
    }
    reached = {one["what"]: (one["reached"], one["met"]) for one in report["goals"]}
    assert reached["lost at kill -9"] == (None, None)
    assert report["machine"]["fsync_p50_ms"] >= 0  # in memory it takes less than is shown
    (case,) = report["cases"]
    # On a busy machine the sink of so few deliveries may be too slow for a valid figure.
    median = None if case["void"] else case["per_s"]["median"]
    assert reached["deliveries/s, 1 hook"][0] == median
    assert (case["deliveries"], case["lost"], case["duplicates"]) == (300, 0, 0)
    assert (case["altered"], case["unsigned"]) == (0, 0)
    assert case["per_s"]["least"] <= case["per_s"]["median"] <= case["per_s"]["most"]
    assert case["ratio"]["median"] > 0
    assert case["cpu_us"]["median"] > 0


@pytest.mark.slow
def test_failures_a_hung_receiver_and_latency_are_measured_too(measured):
    chosen = ("--case", "failures", "--case", "hung", "--case", "open-1000", "--case", "tls")
    tls, failures, hung, latency = measured("--events", "400", *chosen)
    assert (tls["deliveries"], failures["deliveries"]) == (200, 400)
    assert hung["deliveries"] == 99 * 4
    p50, p99, longest = latency["latency_ms"]
    assert 0 < p50 <= p99 <= longest


@pytest.mark.soak
def test_healthy_hooks_are_measured_with_and_without_those_that_hang(measured):
    without, beside = measured("--events", "300", "--case", "hung-100")
    assert (without["name"], beside["name"]) == ("healthy-100", "hung-100")
    assert without["deliveries"] == beside["deliveries"] == 100
    ratio = beside["latency_ms"][1] / without["latency_ms"][1]
    assert beside["compared"]["median"] == pytest.approx(ratio, rel=0.01)


@pytest.mark.soak
def test_a_disabled_subscriber_is_measured_beside_ten_hooks(measured):
    without, beside = measured("--events", "300", "--case", "disabled-hook")
    assert (without["name"], beside["name"]) == ("ten-hooks", "disabled-hook")
    assert without["deliveries"] == beside["deliveries"] == 300
    assert beside["lost"] == beside["duplicates"] == 0


@pytest.mark.slow
def test_a_backlog_and_receivers_that_refuse_or_are_limited_are_measured(measured):
    chosen = ("--case", "backlog", "--case", "poisoned")
    cases = {case["name"]: case for case in measured("--events", "200", *chosen)}
    assert set(cases) == {"one-hook", "backlog", "far", "poisoned"}
    assert cases["backlog"]["deliveries"] == 1000 + 200
    assert cases["far"]["refused"]["median"] == 0
    poisoned = cases["poisoned"]
    assert poisoned["failed"] == poisoned["refused"]["median"] == 800 - poisoned["deliveries"]
    (worker,) = measured("--events", "400", "--case", "one-worker")
    assert 0 < worker["capacity_share"]["median"] < 2  # few responses: a coarse figure
    median, most = worker["at_once"]
    assert 1 <= median <= most


@pytest.mark.slow
def test_a_server_that_is_killed_in_a_measurement_loses_nothing_and_tells_how_soon_it_was_back(
    measured,
):
    (case,) = measured("--events", "2000", "--case", "restart")
    assert (case["deliveries"], case["lost"], case["may_repeat"]) == (100, 0, True)
    assert case["restart_s"]["median"] > 0


def test_a_case_of_two_servers_needs_a_database_that_they_can_share():
    run = bench("--case", "two-servers")
    assert run.returncode == 2
    assert "--database postgresql://" in run.stderr


def test_an_unknown_case_is_named_with_those_that_there_are():
    run = bench("--case", "fast")
    assert run.returncode == 2
    assert "fast" in run.stderr
    assert "one-hook" in run.stderr


def serves(process):
    try:
        return "serve" in process.cmdline()
    except psutil.NoSuchProcess:
        return False


@pytest.fixture
def at_work(tmp_path):
    """A measurement whose server and sink run, and these processes."""
    # Before its server it measures the baseline, of three requests for each event.
    command = [sys.executable, "-m", "hooktui", "bench", "--rounds", "1000", "--events", "100"]
    command += ["--case", "one-hook"]
    running = psutil.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL
    )

    def working():
        assert running.poll() is None
        children = running.children()
        return children if any(serves(child) for child in children) else None

    children = wait_for(working, 100)
    yield running, children
    for process in [running, *children]:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 128 + signal.SIGTERM), (signal.SIGINT, 130)],
    ids=["told to end", "ctrl+c"],
)
def test_a_measurement_that_is_ended_leaves_nothing_behind(tmp_path, at_work, number, code):
    running, children = at_work
    running.send_signal(number)
    assert running.wait(30) == code
    wait_for(lambda: not psutil.wait_procs(children, timeout=0)[1], what="its processes end")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_measurement_that_is_killed_leaves_no_process_and_the_next_removes_its_folder(
    tmp_path, at_work
):
    running, children = at_work
    running.kill()
    wait_for(lambda: not psutil.wait_procs(children, timeout=0)[1], what="its processes end")
    assert list(tmp_path.iterdir()) != []
    run = bench("--rounds", "1", "--events", "100", "--case", "one-hook", TMPDIR=str(tmp_path))
    assert run.returncode == 0, run.stderr
    assert list(tmp_path.iterdir()) == []
