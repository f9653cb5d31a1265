"""The bars of the time line of attempts."""

from hooktui.console.deliveries.columns import phases_bar
from hooktui.console.glyphs import UNICODE
from hooktui.domain.wire.deliveries import Phases


def test_the_time_of_an_attempt_that_was_never_answered_is_waiting_and_not_reading() -> None:
    never = Phases(dns=None, connect=None, tls=50.0, first_byte=None, total=100.0)
    set_up, waiting, reading = (text for text, _ in phases_bar(never, 100.0, 16, UNICODE))
    assert (len(set_up), len(waiting), len(reading)) == (8, 8, 0)
