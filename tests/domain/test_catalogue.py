"""The event catalogue: the ETL types, subscriptions by type or group, and catalogues of others."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooktui.domain.catalogue import (
    ETL,
    PING,
    accepted_types,
    group_of,
    load,
    near,
    normalise,
    subscribes,
    summary,
    type_ids,
    unknown,
    with_operator_group,
)
from hooktui.domain.errors import Refused

TYPES = [
    "job.submitted", "job.started", "job.stopped", "job.completed", "job.failed",
    "cluster.requested", "cluster.available", "cluster.terminated", "cluster.idled",
    "cluster.error",
]  # fmt: skip
NAMES = st.sampled_from([*TYPES, "job", "cluster"])

TOML = """
[[group]]
id = "invoice"
name = "Invoice"
[[group.type]]
id = "invoice.paid"
name = "Invoice Paid"
description = "The invoice was paid."
"""


def test_the_etl_catalogue_has_the_ten_types_of_the_seed() -> None:
    assert list(type_ids(ETL)) == TYPES
    assert [(group.id, group.name) for group in ETL.groups] == [
        ("job", "Job"), ("cluster", "Cluster"),
    ]  # fmt: skip
    described = {t.id: (t.name, t.description) for g in ETL.groups for t in g.types}
    assert described["job.failed"] == ("Job Failed", "Job completed with failure.")
    assert described["cluster.error"][1] == (
        "Cluster error occurred and jobs can't be executed on it."
    )


@pytest.mark.parametrize("event_type", TYPES)
def test_a_bare_group_covers_all_of_its_types_also_future_ones(event_type: str) -> None:
    group = group_of(event_type)
    assert subscribes([group], event_type)
    assert subscribes([group], f"{group}.invented_later")
    assert subscribes([event_type], event_type)
    assert not subscribes(["job" if group == "cluster" else "cluster"], event_type)
    assert not subscribes([], event_type)


def test_a_type_is_not_its_beginning() -> None:
    assert not subscribes(["job.fail"], "job.failed")
    assert not subscribes(["jo"], "job.failed")


def test_nobody_subscribes_to_pings() -> None:
    with pytest.raises(Refused, match="unknown event type 'ping'"):
        normalise(ETL, [PING])
    assert not subscribes(["job", "cluster"], PING)


@pytest.mark.parametrize(
    ("name", "proposal"),
    [("job.fail", "job.failed"), ("JOB.FAILED", "job.failed"), ("cluster.errored", "cluster.error"),
     ("jobs", "job.started")],
)  # fmt: skip
def test_an_unknown_type_is_refused_with_near_ones(name: str, proposal: str) -> None:
    assert proposal in unknown(ETL, name)


def test_a_type_that_is_like_nothing_is_answered_with_where_to_look() -> None:
    assert near(type_ids(ETL), "zzzzzz") == []
    assert "hooktui events types" in unknown(ETL, "zzzzzz")


@pytest.mark.parametrize("name", ["job", "ping", "", "job."])
def test_only_types_can_be_sent(name: str) -> None:
    assert name not in type_ids(ETL)


def test_a_group_is_proposed_to_subscribe_to_and_never_to_send() -> None:
    with pytest.raises(Refused, match="did you mean job or"):
        normalise(ETL, ["jobs"])
    assert "did you mean job." in unknown(ETL, "job")


# Red when all that is said is where the types are listed.
@pytest.mark.parametrize("name", ["*", "zzzzzz", "?"])
def test_a_refused_subscription_names_the_groups(name: str) -> None:
    with pytest.raises(Refused, match="groups: job, cluster; see: hooktui events types"):
        normalise(ETL, [name])


@given(st.lists(NAMES, min_size=1))
def test_a_normal_subscription_covers_the_same_in_catalogue_order(events: list[str]) -> None:
    normal = normalise(ETL, events)
    for event_type in TYPES:
        assert subscribes(normal, event_type) == subscribes(events, event_type)
    assert normalise(ETL, normal) == normal
    assert normalise(ETL, events[::-1] * 2) == normal


def test_a_group_swallows_its_types() -> None:
    assert normalise(ETL, ["cluster.error", "job.failed", "job"]) == ("job", "cluster.error")


def test_every_bad_event_of_a_subscription_is_named() -> None:
    with pytest.raises(Refused) as refusal:
        normalise(ETL, ["job", "job.fail", "cluster.error", "x"])
    assert [error.pointer for error in refusal.value.errors] == ["/events/1", "/events/3"]
    with pytest.raises(Refused, match="at least one"):
        normalise(ETL, [])


@pytest.mark.parametrize(
    ("events", "text"),
    [(["job"], "all job"), (["job", "cluster.error"], "all job · 1 cluster"), ([], ""),
     (["job.failed", "job.stopped"], "2 job"), (["job", "gone.type"], "all job · gone.type")],
)  # fmt: skip
def test_a_subscription_in_short(events: list[str], text: str) -> None:
    assert summary(ETL, events) == text


def test_any_product_can_bring_its_own_catalogue(tmp_path: Path) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_text(TOML)
    catalogue = load(path)
    assert type_ids(catalogue) == ("invoice.paid",)
    assert catalogue.groups[0].types[0].description == "The invoice was paid."
    assert normalise(catalogue, ["invoice"]) == ("invoice",)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[[group]", "cannot read"),
        ("\xff", "cannot read"),
        ("a = " + "[" * 5000, "cannot read"),
        ("a = " + "1" * 5000, "cannot read"),
        ("", "'group' is missing"),
        ("group = 5", "in the place of a table"),
        ("[group]\nid = 'x'", "in the place of a table"),
        ("[[group]]\nid = 'x'\nname = 'X'", "'type' is missing"),
        (TOML.replace('description = "The invoice was paid."', ""), "'description' is missing"),
        (TOML.replace("invoice.paid", "order.paid"), "does not start with its group"),
        # Red when its types are checked first: they do start with its id and a dot.
        (TOML.replace("invoice", "a.b"), "the id of group 'a.b' has a dot"),
        ("[[group]]\nid = 'x'\nname = 'X'\ntype = []", "group 'x' has no types"),
        (TOML.replace("invoice.paid", "Invoice Paid"), "not of the form"),
        (TOML.replace("invoice", "ping"), "is reserved"),
        (TOML + TOML, "is a duplicate"),
        (TOML.replace('id = "invoice.paid"', "id = 5"), "not of the form"),
        (TOML.replace('"The invoice was paid."', "2026-11-27"), "write a text"),
        (TOML.replace('"The invoice was paid."', '" "'), "write a text"),
        (TOML.replace("invoice.paid", "invoice\\u001b.paid"), "not of the form"),
        # Red when unknown keys are passed over: the types of a misspelt table are not there.
        (TOML + "[[groop]]", "unknown key 'groop'; known: group"),
        (TOML + "[[group.tpye]]", "unknown key 'tpye'; known: id, name, type"),
        (TOML + "descripton = 'x'", "unknown key 'descripton'; known: id, name, description"),
    ],
)
def test_a_bad_catalogue_is_refused_with_what_is_wrong(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "catalogue.toml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(Refused, match=reason):
        load(path)


def test_a_missing_catalogue_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    with pytest.raises(Refused) as refused:
        load(file)
    assert refused.value.detail == (
        f"cannot read the event catalogue {file}: No such file or directory"
    )


def test_the_group_of_operator_alerts_is_beside_any_catalogue() -> None:
    whole = with_operator_group(ETL)
    assert [group.id for group in whole.groups] == ["job", "cluster", "hooktui"]
    assert len(whole.groups[-1].types) == 13
    assert normalise(whole, ["hooktui.disk.low", "hooktui"]) == ("hooktui",)
    assert accepted_types(whole) == frozenset(type_ids(ETL))
    assert "sent by hooktui itself" in unknown(whole, "hooktui.disk.low")


@pytest.mark.parametrize("name", ["hooktui", "hooktui.disk.low"])
def test_a_catalogue_file_cannot_define_operator_events(tmp_path: Path, name: str) -> None:
    group, _, _ = name.partition(".")
    file = tmp_path / "types.toml"
    kind = f'[[group.type]]\nid = "{group}.disk.low"\nname = "n"\ndescription = "d"\n'
    file.write_text(f'[[group]]\nid = "{group}"\nname = "n"\n{kind}')
    with pytest.raises(Refused, match="is reserved"):
        load(file)
