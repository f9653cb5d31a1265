"""The hooks of the demo account: what an admin of a data team would have, one for each mood."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hooktui.sources.moods import Mood


@dataclass(frozen=True, slots=True)
class DemoHook:
    """A hook to make: its name, the mood of its receiver, and further fields of the hook object."""

    name: str
    mood: Mood
    events: tuple[str, ...]
    retry_schedule_s: tuple[float, ...] = (1, 2, 3)
    fields: Mapping[str, object] = field(default_factory=dict)

    def settings(self, url: str) -> dict[str, object]:
        """Return what the call that makes it says, for a receiver at a URL."""
        return {
            "name": self.name,
            "url": url,
            "events": list(self.events),
            "retry_schedule_s": list(self.retry_schedule_s),
            **self.fields,
        }


# Short schedules, so that a run of twenty seconds shows a delivery given up.
DEMO_HOOKS = (
    DemoHook("Data warehouse", Mood.FAST, ("job", "cluster")),
    DemoHook("Ops pager", Mood.FLAKY, ("job.failed", "cluster"), (1, 2, 4, 8)),
    DemoHook("Slack relay", Mood.BUSY, ("job",), (1, 2, 4, 8), {"max_in_flight": 4}),
    DemoHook("Billing (slow)", Mood.SLOW, ("job.completed", "cluster.terminated"),
             fields={"timeout_s": 5, "max_in_flight": 2}),
    DemoHook("ERP bridge", Mood.DOWN, ("cluster.requested", "cluster.error"),
             fields={"signature_hash": "sha1", "headers": {"X-Api-Key": "erp-7f3c"}}),
    DemoHook("Retired CI", Mood.GONE, ("job.started",)),
    DemoHook("Staging copy", Mood.FAST, ("job", "cluster"), fields={"active": False}),
    DemoHook("Finance audit", Mood.FAST, ("job.completed", "job.failed"),
             fields={"filter": "data.creator.type:Schedule"}),
)  # fmt: skip
