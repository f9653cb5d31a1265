"""The tabs of the top screen Deliveries."""

from __future__ import annotations

from typing import Final

from hooktui.console.frame.screen_tabs import ScreenTab

DELIVERY_TABS: Final = (
    ScreenTab("All", "deliveries.deliveries_screen:DeliveriesScreen"),
    ScreenTab("Undelivered", "deliveries.undelivered_screen:UndeliveredScreen"),
    ScreenTab("Replays", "replays.replays_screen:ReplaysScreen"),
)
