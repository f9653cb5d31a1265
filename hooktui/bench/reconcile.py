"""Compares the accepted events with the received requests and with the store. Pure.

The sink saves each request unparsed while the clock runs; requests are parsed and verified
afterwards, so that the check does not slow down the measurement.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from hooktui.domain.signatures import standard_key, verify_hook_signature, verify_standard_signature

RawRequest = tuple[int, int, bytes]
"""The arrival time (monotonic nanoseconds), the status of the response, and the request."""

HASH_BYTES = 8
"""Bytes of a body's SHA-256: enough to detect an altered body."""


class SinkRequest(msgspec.Struct, frozen=True, array_like=True):
    """One request: its delivery, and whether both signatures are valid."""

    event: str
    delivery: str
    hook: int
    body: bytes
    status: int
    arrived_ns: int
    signed: bool

    @property
    def accepted(self) -> bool:
        """Whether the sink responded 2xx."""
        return 200 <= self.status < 300


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(list[SinkRequest]).decode


def body_hash(body: bytes) -> bytes:
    """Return the stored hash of a body."""
    return hashlib.sha256(body).digest()[:HASH_BYTES]


def read_requests(raw: Iterable[RawRequest], secrets: Mapping[int, str]) -> list[SinkRequest]:
    """Parse requests, and verify both signatures of each.

    ``secrets`` has those of the hooks, by number.
    """
    keys = {hook: (secret, standard_key(secret)) for hook, secret in secrets.items()}
    return [_read(arrived_ns, status, data, keys) for arrived_ns, status, data in raw]


def _read(
    arrived_ns: int, status: int, request: bytes, keys: Mapping[int, tuple[str, bytes | None]]
) -> SinkRequest:
    head, _, body = request.partition(b"\r\n\r\n")
    fields = dict(
        line.split(": ", 1) for line in head.decode("latin-1").split("\r\n")[1:] if ": " in line
    )
    hook, event = int(fields.get("X-Hook-Id", "0")), fields.get("webhook-id", "")
    secret, key = keys.get(hook, ("", None))
    signed = (
        key is not None
        and verify_hook_signature(secret, body, fields.get("X-Hook-Signature", ""))
        and verify_standard_signature(
            key,
            event,
            int(fields.get("webhook-timestamp", "0")),
            body,
            fields.get("webhook-signature", ""),
        )
    )
    delivery = fields.get("X-Hook-Delivery", "")
    return SinkRequest(event, delivery, hook, body_hash(body), status, arrived_ns, signed)


@dataclass(frozen=True, slots=True)
class Offered:
    """An event that got a 202; times are monotonic nanoseconds.

    Attributes:
        event: its public id.
        body: the hash of its bytes.
        due_ns: its planned send time; for an open loop, its time in the schedule.
    """

    event: str
    body: bytes
    due_ns: int


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The result of the comparison; the last four should be 0 in a run without kills.

    Attributes:
        counted: deliveries that are done in the store and arrived at least once, signed and intact.
        failed: deliveries that arrived, and that the receiver always refuses.
        lost: expected deliveries that are neither counted nor failed.
        duplicates: repeated arrivals of an accepted delivery.
        altered: arrivals with other bytes, another event, or a hook that is not in the run.
        unsigned: arrivals with an invalid signature.
    """

    counted: int
    failed: int
    lost: int
    duplicates: int
    altered: int
    unsigned: int


def reconcile(
    offered: Iterable[Offered],
    arrivals: Iterable[SinkRequest],
    delivered: Collection[str],
    hooks: Collection[int],
    poisoned: Collection[str] = (),
) -> Reconciliation:
    """Compare the accepted events, each of which is expected at each hook, with the arrivals.

    ``delivered`` are the deliveries that are delivered in the store; ``poisoned`` are the events
    that the receiver always refuses.
    """
    bodies = {event.event: event.body for event in offered}
    counts: Counter[tuple[str, int]] = Counter()
    whole: set[tuple[str, int]] = set()
    failed: set[tuple[str, int]] = set()
    altered = unsigned = 0
    for arrival in arrivals:
        if bodies.get(arrival.event) != arrival.body or arrival.hook not in hooks:
            altered += 1
            continue
        if not arrival.signed:
            unsigned += 1
            continue
        owed = (arrival.event, arrival.hook)
        if arrival.accepted:
            counts[owed] += 1
            if arrival.delivery in delivered:
                whole.add(owed)
        elif arrival.event in poisoned:
            failed.add(owed)
    return Reconciliation(
        counted=len(whole),
        failed=len(failed),
        lost=len(bodies) * len(hooks) - len(whole) - len(failed),
        duplicates=sum(counts.values()) - len(counts),
        altered=altered,
        unsigned=unsigned,
    )


def percentiles_ms(
    offered: Iterable[Offered], arrivals: Iterable[SinkRequest]
) -> tuple[float, float, float] | None:
    """Return p50, p99 and the longest time from an event's due time to its receipt, in ms."""
    due = {event.event: event.due_ns for event in offered}
    waits = sorted(
        (arrival.arrived_ns - due[arrival.event]) / 1e6
        for arrival in arrivals
        if arrival.accepted and arrival.event in due
    )
    if not waits:
        return None
    return waits[len(waits) // 2], waits[len(waits) * 99 // 100], waits[-1]


RAMP_S = 5.0
"""Seconds in which the limit of a hook may still grow to what its receiver takes."""
_LOADED = 0.95
"""A receiver is loaded until this share of its deliveries has arrived; the rest are retries."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """The attempts that the receiver refused.

    Attributes:
        in_ramp: in the first `RAMP_S` seconds.
        later: after them.
        later_share: the same as a share of all attempts after them.
    """

    in_ramp: int
    later: int
    later_share: float


def refusals(arrivals: Iterable[SinkRequest], begun_ns: int) -> Refusals:
    """Count the refused attempts of a run that began at a time."""
    ramp_end_ns = begun_ns + round(RAMP_S * 1e9)
    in_ramp: list[bool] = []
    later: list[bool] = []
    for arrival in arrivals:
        (later if arrival.arrived_ns >= ramp_end_ns else in_ramp).append(not arrival.accepted)
    return Refusals(sum(in_ramp), sum(later), sum(later) / max(len(later), 1))


def capacity_share(arrivals: Iterable[SinkRequest], begun_ns: int, capacity_per_s: float) -> float:
    """Return the share of a receiver's capacity that was used while it was loaded."""
    taken_ns = sorted(arrival.arrived_ns for arrival in arrivals if arrival.accepted)
    count = int(len(taken_ns) * _LOADED)
    if not count:
        return 0.0
    return count / (taken_ns[count - 1] - begun_ns) * 1e9 / capacity_per_s
