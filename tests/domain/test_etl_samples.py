"""Samples of bodies: one for each type of the built-in catalogue, like the recorded ones."""

import json
from pathlib import Path

import pytest

from hooktui.domain.catalogue import ETL, type_ids
from hooktui.domain.etl_samples import sample

NOW = 1_795_608_000_000
RECORDED = Path(__file__).parent.parent / "samples"


@pytest.mark.parametrize("event_type", type_ids(ETL))
def test_a_sample_has_the_fields_of_a_recorded_body_in_their_order(event_type: str):
    """Red when a type of the catalogue has no sample, or a field is missing in it."""
    text = sample(event_type, NOW)
    assert text is not None
    recorded = json.loads((RECORDED / f"{event_type}.json").read_text())
    made = json.loads(text)
    assert list(made) == list(recorded)
    assert made["updated_at"] == "2026-11-25T12:00:00Z"


def test_another_type_has_no_sample():
    assert sample("door.opened", NOW) is None
