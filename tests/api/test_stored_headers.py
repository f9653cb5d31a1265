"""An edit of a hook whose headers were saved before a rule about their names came."""

from __future__ import annotations

import pytest

from hooktui.domain.catalogue import ETL
from hooktui.domain.errors import Refused
from hooktui.domain.hook_edits import apply
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
