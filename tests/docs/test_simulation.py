"""The simulation of the queue and the formulas agree, and both say what limits a deployment."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from docs.tools.simulation import SCENARIOS, Deployment, limit_of, simulate, table

SMALL = Deployment(server_us=100.0, sync_us=0.0, claim_ms=1.0, hooks=10, slots=10, receiver_ms=5.0)
SHARED = replace(SMALL, database_us=80.0, database_cores=2, commit_ms=1.0, hooks=200)


@pytest.mark.parametrize(
    ("deployment", "by"),
    [
        (SMALL, "CPU of the servers"),
        (replace(SMALL, receiver_ms=50.0), "slots of the hooks"),
        (replace(SHARED, servers=2), "CPU of the servers"),
        (replace(SHARED, servers=4), "CPU of PostgreSQL"),
        (replace(SHARED, servers=4, databases=4), "CPU of the servers"),
    ],
    ids=str,
)
def test_a_deployment_is_as_fast_as_its_slowest_part(deployment: Deployment, by: str):
    limit = limit_of(deployment)
    assert limit.by == by
    assert simulate(deployment, limit.per_s, 20_000).per_s == pytest.approx(limit.per_s, rel=0.05)


def test_below_the_limit_all_goes_out_at_once_and_above_it_waits():
    limit = limit_of(SMALL).per_s
    calm, full = (simulate(SMALL, share * limit, 20_000) for share in (0.5, 1.3))
    assert calm.p99_ms < 5
    assert full.p99_ms > 100
    assert calm.per_s == pytest.approx(0.5 * limit, rel=0.05)


def test_servers_that_share_a_database_carry_more_until_that_is_busy():
    def carried(servers: int, databases: int = 1) -> float:
        deployment = replace(SHARED, servers=servers, databases=databases)
        return simulate(deployment, limit_of(deployment).per_s, 20_000).per_s

    assert carried(2) > 1.8 * carried(1)
    assert carried(6) < 1.1 * carried(4)
    assert carried(6, databases=2) > 1.5 * carried(6)


def test_the_same_seed_gives_the_same_outcome():
    assert simulate(SMALL, 5000, 1000) == simulate(SMALL, 5000, 1000)
    assert simulate(SMALL, 5000, 1000) != simulate(SMALL, 5000, 1000, seed=4)


def test_it_prints_the_scenarios_or_the_deployment_of_the_options():
    assert len(table(SCENARIOS, 100)) == len(SCENARIOS) + 2
    run = subprocess.run(
        [sys.executable, "-m", "docs.tools.simulation", "--servers", "2", "--receiver-ms", "5",
         "--server-us", "80", "--sync-us", "40"],
        capture_output=True,
        text=True,
        timeout=60,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert "this deployment" in run.stdout
    assert "16,667" in run.stdout


def test_the_document_shows_these_scenarios():
    shown = (Path(__file__).parents[2] / "docs/understand/scale.md").read_text()
    for name, deployment in SCENARIOS:
        limit = limit_of(deployment)
        assert re.search(rf"^{name} +{limit.per_s:,.0f} .* {limit.by}$", shown, re.MULTILINE)
