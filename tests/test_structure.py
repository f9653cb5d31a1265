"""The structure may only become simpler: each figure has the value of today as its upper bound."""

import pytest

from tests.support import structure

MOST = {
    "modules": 347,
    "lines": 61_350,
    "modules in import cycles": 0,
    "deepest ancestry": 4,
    "modules that only one store has": 0,
    "modules that name a hook setting": 2,
    "class names given more than once": 33,
}


@pytest.mark.parametrize("what", MOST)
def test_the_structure_does_not_get_worse(what: str) -> None:
    assert structure.figures()[what] <= MOST[what]


def test_all_figures_have_a_bound() -> None:
    assert structure.figures().keys() == MOST.keys()
