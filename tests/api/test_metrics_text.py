"""The text that Prometheus reads, read back by its own parser."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hooktui.api.routes.metrics import Metric, Sample, by, exposition, one


def read(*metrics):
    return {
        family.name: (family.type, [(s.name, s.labels, s.value) for s in family.samples])
        for family in text_string_to_metric_families(exposition(metrics))
    }


def test_each_kind_is_read_back_as_it_is():
    summary = Metric("t_seconds", "summary", "Time.", (
        Sample(1.5, (("writer", "w"),), "_sum"), Sample(3, (("writer", "w"),), "_count"),
    ))  # fmt: skip
    found = read(
        one("a_total", "counter", "A.", 7), by("k", "b", "gauge", "B.", {"x": 0.5}), summary
    )
    assert found == {
        "a": ("counter", [("a_total", {}, 7.0)]),
        "b": ("gauge", [("b", {"k": "x"}, 0.5)]),
        "t_seconds": ("summary", [
            ("t_seconds_sum", {"writer": "w"}, 1.5), ("t_seconds_count", {"writer": "w"}, 3.0),
        ]),
    }  # fmt: skip


# Red when a quote, a backslash or a line break in a label is written as it is.
@given(st.text())
@pytest.mark.parametrize("more", ['"', "\\", "\n", '\\n"} 1'])
def test_a_label_may_hold_anything(more, text):
    found = read(by("k", "b", "gauge", "B.", {text + more: 1}))
    assert found["b"][1] == [("b", {"k": text + more}, 1.0)]


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_no_digit_is_lost(value):
    assert read(one("a", "gauge", "A.", value))["a"][1][0][2] == value
