"""The receiver's behaviours: the same seed, the same answers."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from hooktui.demo.receiver import Behaviour, Reply, reply

SEEDS = st.integers(0, 2**32)
NUMBERS = st.integers(1, 500)


def statuses(behaviour: Behaviour, seed: int, count: int = 60) -> list[int]:
    return [
        reply(behaviour, seed, f"/{behaviour}", number).status for number in range(1, count + 1)
    ]


@given(st.sampled_from(Behaviour), SEEDS, NUMBERS)
def test_an_answer_depends_on_seed_path_and_number_alone(behaviour, seed, number):
    assert reply(behaviour, seed, f"/{behaviour}", number) == reply(
        behaviour, seed, f"/{behaviour}", number
    )


def test_another_seed_has_other_behaviours():
    assert statuses(Behaviour.FLAKY, 1) != statuses(Behaviour.FLAKY, 2)
    assert statuses(Behaviour.DOWN, 1) != statuses(Behaviour.DOWN, 2)


@given(SEEDS, NUMBERS)
def test_fast_takes_everything_at_once(seed, number):
    answer = reply(Behaviour.FAST, seed, "/fast", number)
    assert answer.status == 200
    assert answer.delay_s < 0.1


@given(SEEDS, NUMBERS)
def test_slow_takes_everything_after_one_to_two_seconds(seed, number):
    answer = reply(Behaviour.SLOW, seed, "/slow", number)
    assert answer.status == 200
    assert 1 <= answer.delay_s <= 2


@given(SEEDS)
def test_flaky_fails_first_and_succeeds_when_tried_again(seed):
    answers = statuses(Behaviour.FLAKY, seed)
    assert answers[:2] == [500, 200]
    assert set(answers) == {500, 200}
    assert (500, 500) not in set(itertools.pairwise(answers))


@given(SEEDS, NUMBERS)
def test_busy_asks_to_come_again_in_a_second(seed, number):
    answer = reply(Behaviour.BUSY, seed, "/busy", number)
    asks_to_wait = ("Retry-After", "1") in answer.headers
    assert (answer.status == 429) == asks_to_wait
    assert answer.status in (200, 429)
    assert reply(Behaviour.BUSY, seed, "/busy", 1).status == 429


@given(SEEDS, NUMBERS)
def test_down_never_takes_anything(seed, number):
    assert reply(Behaviour.DOWN, seed, "/down", number).status in (500, 503)


@given(SEEDS)
def test_gone_says_so_once(seed):
    answers = statuses(Behaviour.GONE, seed)
    assert answers.count(410) == 1
    assert answers[:3] == [200, 200, 410]


@given(st.sampled_from(Behaviour), SEEDS, NUMBERS)
def test_every_answer_names_its_content_type(behaviour, seed, number):
    answer: Reply = reply(behaviour, seed, f"/{behaviour}", number)
    assert "Content-Type" in dict(answer.headers)
    assert answer.body
