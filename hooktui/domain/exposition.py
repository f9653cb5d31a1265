"""The text format of Prometheus (0.0.4): metrics as values, and how they are written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

MEDIA_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPED: Final = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a metric; ``suffix`` is ``_sum`` or ``_count`` of a summary."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()
    suffix: str = ""


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric: name with its unit, kind, one line of help, and its values."""

    name: str
    kind: Literal["counter", "gauge", "summary"]
    help: str
    samples: tuple[Sample, ...]


def one(name: str, kind: Literal["counter", "gauge"], words: str, value: float) -> Metric:
    """Return a metric of one value."""
    return Metric(name, kind, words, (Sample(value),))


def by(
    label: str,
    name: str,
    kind: Literal["counter", "gauge"],
    words: str,
    values: Mapping[str, float],
) -> Metric:
    """Return a metric with a value for each value of a label."""
    samples = (Sample(value, ((label, key),)) for key, value in values.items())
    return Metric(name, kind, words, tuple(samples))


def exposition(metrics: Iterable[Metric]) -> str:
    """Return metrics as Prometheus reads them."""
    lines = []
    for metric in metrics:
        lines.append(f"# HELP {metric.name} {metric.help}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        lines += [_line(metric.name, sample) for sample in metric.samples]
    return "\n".join(lines) + "\n"


def _line(name: str, sample: Sample) -> str:
    labels = ",".join(f'{key}="{value.translate(_ESCAPED)}"' for key, value in sample.labels)
    inside = f"{{{labels}}}" if labels else ""
    # repr keeps every digit of a float; whole numbers stay whole.
    return f"{name}{sample.suffix}{inside} {sample.value!r}"
