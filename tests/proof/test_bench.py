"""A tiny measurement from end to end: real server, sink and producer."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest


def bench(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "hooktui", "bench", *arguments],
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.slow
def test_a_tiny_run_loses_nothing_and_tells_programs_what_it_measured():
    run = bench("--json", "--rounds", "1", "--events", "300", "--case", "one-hook")
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout)
    assert report["good"] is True
    assert set(report) == {
        "machine",
        "rounds",
        "sink_per_s",
        "floor_per_s",
        "transport_per_s",
        "cases",
        "good",
    }
    assert report["machine"]["fsync_p50_ms"] > 0
    (case,) = report["cases"]
    assert (case["deliveries"], case["lost"], case["duplicates"]) == (300, 0, 0)
    assert (case["altered"], case["unsigned"]) == (0, 0)
    assert case["per_s"]["least"] <= case["per_s"]["median"] <= case["per_s"]["most"]
    assert 0 < case["ratio"]["median"] < 1
    assert case["cpu_us"]["median"] > 0


@pytest.mark.slow
def test_failures_a_hung_receiver_and_latency_are_measured_too():
    chosen = ("--case", "failures", "--case", "hung", "--case", "open-1000")
    run = bench("--json", "--rounds", "1", "--events", "2000", *chosen)
    assert run.returncode == 0, run.stderr
    failures, hung, latency = json.loads(run.stdout)["cases"]
    assert failures["deliveries"] == 2000
    assert hung["deliveries"] == 99 * 100
    p50, p99, longest = latency["latency_ms"]
    assert 0 < p50 <= p99 <= longest


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


@pytest.mark.slow
def test_a_measurement_that_is_told_to_end_leaves_no_process_behind(tmp_path):
    command = [sys.executable, "-m", "hooktui", "bench", "--rounds", "1000", "--case", "one-hook"]
    running = psutil.Popen(
        command, env={**os.environ, "TMPDIR": str(tmp_path)}, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 60
    children = []
    while not any(serves(child) for child in children):
        assert time.monotonic() < deadline
        children = running.children()
        time.sleep(0.05)
    running.terminate()
    assert running.wait(30) == 128 + signal.SIGTERM
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []
    assert list(tmp_path.iterdir()) == []
