"""The structure may only become simpler: each figure has the value of today as its upper bound."""

from tests.support import structure

MAX = {
    "modules": 401,
    "lines": 80_424,
    "modules in import cycles": 0,
    "deepest ancestry of a widget": 4,
    "deepest ancestry of another class": 3,
    "modules that only one store has": 0,
    "modules that name a hook setting": 2,
    "class names given more than once": 14,
    "store modules with untyped rows": 0,
}


def test_the_structure_does_not_get_worse() -> None:
    worse = {what: found for what, found in structure.figures().items() if found > MAX[what]}
    assert worse == {}


def test_all_figures_have_a_bound() -> None:
    assert structure.figures().keys() == MAX.keys()


def test_only_the_two_stores_share_class_names() -> None:
    elsewhere = {
        name: places
        for name, places in structure.twins().items()
        if not all(place.startswith("hooktui.store.") for place in places)
    }
    assert elsewhere == {}
