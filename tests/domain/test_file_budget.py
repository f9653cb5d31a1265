"""The shares of open files: they fit the limit, and each use has its own."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.file_budget import (
    DEFAULT_OUTBOUND,
    FileBudget,
    TooFewFiles,
    advised_limit,
    least_files,
    share_files,
)

LIMITS = st.integers(least_files(), 1 << 20)


@pytest.mark.parametrize(
    ("limit", "api", "lookup_threads", "outbound"),
    [
        (145, 24, 4, 8),
        (256, 46, 4, 97),
        (1024, 199, 16, 589),
        (4096, 814, 64, 2626),
        (20_000, 3995, 64, DEFAULT_OUTBOUND),
        (1 << 20, 4000, 64, DEFAULT_OUTBOUND),
    ],
)
def test_the_shares_of_usual_limits(limit: int, api: int, lookup_threads: int, outbound: int):
    budget = share_files(limit, connections=1000)
    assert (budget.api, budget.lookup_threads, budget.outbound) == (api, lookup_threads, outbound)


@given(
    limit=LIMITS,
    connections=st.integers(10, 100_000),
    outbound=st.none() | st.integers(1, 1_000_000),
)
def test_all_shares_together_fit_the_limit_and_none_is_empty(
    limit: int, connections: int, outbound: int | None
):
    budget = share_files(limit, connections=connections, outbound=outbound)
    unused = limit - _descriptors(budget)
    requested = DEFAULT_OUTBOUND if outbound is None else outbound
    assert unused >= 16
    assert unused <= 256 or budget.outbound == requested
    assert 10 <= budget.api <= 4 * connections
    assert 1 <= budget.outbound <= requested
    assert min(budget.lookup_threads, budget.diagnoses, budget.pings) >= 1


# Red when the advice is always 65,536.
@given(
    limit=st.integers(1, 1 << 20),
    connections=st.integers(10, 100_000),
    outbound=st.integers(0, 1_000_000),
)
def test_the_advised_limit_is_higher_and_enough(limit: int, connections: int, outbound: int):
    advised = advised_limit(limit, outbound)
    assert advised > limit
    assert share_files(advised, connections=connections, outbound=outbound).outbound == outbound
    assert advised <= max(65_536, 2 * limit, 4 * outbound)


def _descriptors(budget: FileBudget) -> int:
    """Return the sum of all shares, in descriptors."""
    many = 3 * budget.lookup_threads + 9 * budget.diagnoses
    rest = budget.api + budget.pings + budget.outbound
    return 32 + 24 + 16 + many + rest  # the process, its database, files that are opened briefly


@given(limit=LIMITS, outbound=st.integers(1, 1_000_000))
def test_a_setting_for_receivers_takes_nothing_from_the_others(limit: int, outbound: int):
    with_it = share_files(limit, connections=1000, outbound=outbound)
    without = share_files(limit, connections=1000)
    assert replace(with_it, outbound=without.outbound) == without


@given(limit=st.integers(0, least_files() - 1))
def test_too_few_files_say_how_many_are_needed_and_how_to_get_them(limit: int):
    with pytest.raises(TooFewFiles, match=r"at least 145; raise it with ulimit -n") as refused:
        share_files(limit, connections=1000)
    assert f"is {limit:,}," in refused.value.detail
