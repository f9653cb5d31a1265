"""An edit of a hook whose headers were saved before a rule came, or whose type has gone since."""

from __future__ import annotations

import pytest

from hooktui.domain.catalogue import ETL
from hooktui.domain.errors import Refused
from hooktui.domain.hook_edits import NEW_HOOK, apply
from hooktui.domain.hook_settings import HookSettings

STORED = HookSettings(
    url="https://example.com/", events=("job",), headers={"X_Hook_Signature": "forged"}
)


# Red when the operator who wants to disable it is told that its headers are wrong.
def test_it_can_be_disabled_and_its_header_taken_away():
    off = apply(STORED, {"active": False}, ETL)[0]
    assert not off.active
    assert off.headers == STORED.headers
    assert apply(STORED, {"headers": {}}, ETL)[0].headers == {}


def test_another_name_of_that_kind_is_refused():
    with pytest.raises(Refused, match="which is set by hooktui"):
        apply(STORED, {"headers": {"webhook_id": "1"}}, ETL)


# Red when all fields of a hook are checked at each edit: its type has left the catalogue since.
def test_a_hook_whose_type_left_the_catalogue_can_be_disabled_and_corrected():
    stored = HookSettings(url="https://example.com/", events=("gone.type", "job"))
    off = apply(stored, {"active": False}, ETL)[0]
    assert (off.active, off.events) == (False, stored.events)
    assert apply(stored, {"url": "https://example.org/"}, ETL)[0].events == stored.events
    assert apply(stored, {"events": ["job"]}, ETL)[0].events == ("job",)
    for events in (["gone.type"], ["gone.type", "job", "cluster"], ["job", "other.type"]):
        with pytest.raises(Refused, match="unknown event type"):
            apply(stored, {"events": events}, ETL)


def test_a_new_hook_needs_a_known_event():
    with pytest.raises(Refused, match="choose at least one event"):
        apply(NEW_HOOK, {"url": "https://example.com/", "events": []}, ETL)
