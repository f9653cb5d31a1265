"""Changes that wait for a screen that is covered, perhaps for days."""

from hooktui.console.shell.feed_changes import MAX_DELIVERIES, FeedChanges


def test_a_covered_screen_keeps_a_bounded_number_of_deliveries():
    # Red when each delivery is kept: some MB an hour.
    waiting = FeedChanges()
    for number in range(10 * MAX_DELIVERIES):
        waiting.merge(FeedChanges(deliveries={str(number)}))
        assert len(waiting.deliveries) <= MAX_DELIVERIES
    assert waiting.everything


def test_a_few_deliveries_are_known_one_by_one():
    waiting = FeedChanges()
    for number in range(MAX_DELIVERIES):
        waiting.merge(FeedChanges(deliveries={str(number)}))
    assert len(waiting.deliveries) == MAX_DELIVERIES
    assert not waiting.everything
