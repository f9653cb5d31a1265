"""What one hook may take, and what it may not do to others; real store, engine and receivers."""

from __future__ import annotations

import time

from tests.delivery.conftest import Receivers
from tests.delivery.test_engine import OK, House, forever, house, url_of

__all__ = ["house"]


async def test_a_hook_gets_no_more_a_second_than_its_rate(house: House, receivers: Receivers):
    seen: list[bytes] = []
    url = url_of(await receivers.behaving(forever(OK, seen)))
    await house.hook(url, rate_per_s=40)
    began = time.monotonic()
    await house.emit(24)
    await house.all_are("delivered", 24)
    # 4 may go at once, each of the other 20 waits for its fortieth of a second: half a second.
    assert time.monotonic() - began >= 0.45
    assert len(seen) == 24


async def test_a_hook_that_waits_for_its_rate_delays_no_other(house: House, receivers: Receivers):
    slow: list[bytes] = []
    await house.hook(url_of(await receivers.behaving(forever(OK, slow))), rate_per_s=0.01)
    await house.hook(url_of(await receivers.behaving(forever(OK, []))))
    await house.emit(50)
    await house.all_are("delivered", 51)
    assert len(slow) == 1
