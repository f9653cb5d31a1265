"""What a setting declares."""

from __future__ import annotations

import pytest

from hooktui.domain.hook_fields import HOOK_SETTINGS


# Red when a number that no float holds fails as it is written into the message.
@pytest.mark.parametrize("value", [0, 1001, 10**400, -(10**400)])
def test_a_number_out_of_range_is_refused_however_large_it_is(value: int) -> None:
    check = HOOK_SETTINGS["max_in_flight"].check
    assert check is not None
    assert "is not in 1 to 1000" in (check(value) or "")
