"""The receiver's moods: the same seed, the same answers."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hooktui.demo.receiver import Mood, Reply, reply

SEEDS = st.integers(0, 2**32)
NUMBERS = st.integers(1, 500)


def statuses(mood: Mood, seed: int, count: int = 60) -> list[int]:
    return [reply(mood, seed, f"/{mood}", number).status for number in range(1, count + 1)]


@given(st.sampled_from(Mood), SEEDS, NUMBERS)
def test_an_answer_depends_on_seed_path_and_number_alone(mood, seed, number):
    assert reply(mood, seed, f"/{mood}", number) == reply(mood, seed, f"/{mood}", number)


def test_another_seed_has_other_behaviours():
    assert statuses(Mood.FLAKY, 1) != statuses(Mood.FLAKY, 2)
    assert statuses(Mood.DOWN, 1) != statuses(Mood.DOWN, 2)


@given(SEEDS, NUMBERS)
def test_fast_takes_everything_at_once(seed, number):
    answer = reply(Mood.FAST, seed, "/fast", number)
    assert answer.status == 200
    assert answer.delay_s < 0.1


@given(SEEDS, NUMBERS)
def test_slow_takes_everything_after_one_to_two_seconds(seed, number):
    answer = reply(Mood.SLOW, seed, "/slow", number)
    assert answer.status == 200
    assert 1 <= answer.delay_s <= 2


@given(SEEDS)
def test_flaky_fails_first_and_succeeds_when_tried_again(seed):
    answers = statuses(Mood.FLAKY, seed)
    assert answers[:2] == [500, 200]
    assert set(answers) == {500, 200}
    assert (500, 500) not in set(itertools.pairwise(answers))


@given(SEEDS, NUMBERS)
def test_busy_asks_to_come_again_in_a_second(seed, number):
    answer = reply(Mood.BUSY, seed, "/busy", number)
    asks_to_wait = ("Retry-After", "1") in answer.headers
    assert (answer.status == 429) == asks_to_wait
    assert answer.status in (200, 429)
    assert reply(Mood.BUSY, seed, "/busy", 1).status == 429


@given(SEEDS, NUMBERS)
def test_down_never_takes_anything(seed, number):
    assert reply(Mood.DOWN, seed, "/down", number).status in (500, 503)


@given(SEEDS)
def test_gone_says_so_once(seed):
    answers = statuses(Mood.GONE, seed)
    assert answers.count(410) == 1
    assert answers[:3] == [200, 200, 410]


@given(st.sampled_from(Mood), SEEDS, NUMBERS)
def test_every_answer_names_its_content_type(mood, seed, number):
    answer: Reply = reply(mood, seed, f"/{mood}", number)
    assert "Content-Type" in dict(answer.headers)
    assert answer.body
