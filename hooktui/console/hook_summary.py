"""A hook's settings and standing as lines to read: what the Hook screen says above its tabs."""

from __future__ import annotations

from hooktui.console.delivery_words import moment
from hooktui.console.form_values import duration_text, schedule_text, total_in_words
from hooktui.console.hook_words import failing
from hooktui.console.keys import KeyOf
from hooktui.console.times import ago, took
from hooktui.console.widgets.event_selection import in_words
from hooktui.console.widgets.json_lines import Section
from hooktui.console.widgets.painted import Pieces, Tone
from hooktui.domain.addresses import url_in_words
from hooktui.domain.clock import from_rfc3339
from hooktui.domain.wire.events import Catalogue
from hooktui.domain.wire.hooks import Hook


def standing_words(hook: Hook, now_ms: int, key: KeyOf) -> tuple[str, Tone]:
    """Return how a hook is doing in one line: state with its reason, results, what waits."""
    stats = hook.stats
    words = []
    tone: Tone = "plain"
    if not hook.active:
        tone = "bad" if hook.disabled_reason not in (None, "disabled by hand") else "warn"
        since = "" if hook.disabled_at is None else f", {_ago(hook.disabled_at, now_ms)}"
        words.append(f"not active: {hook.disabled_reason or 'disabled by hand'}{since}")
        if stats.held:
            words.append(f"{key('activate')} activates it and sends the {stats.held:,} held")
    elif stats.breaker != "closed":
        tone = "bad"
        words.append(f"active, but held back (breaker {stats.breaker})")
    elif failing(hook):
        tone = "bad"
        words.append("active, and failing")
    else:
        words.append("active")
    if stats.last_status is None:
        words.append(f"nothing sent yet; {key('ping')} sends a ping")
    else:
        words.append(f"last {stats.last_status} {_ago(stats.last_at, now_ms)}")
    if stats.waiting and hook.active:
        words.append(f"{stats.waiting:,} waiting")
    if stats.success_24h is not None:
        words.append(f"{int(stats.success_24h * 100)}% delivered in 24 h")
    if stats.p95_ms is not None:
        words.append(f"p95 {took(stats.p95_ms)}")
    return " · ".join(words), tone


def head_lines(hook: Hook, catalogue: Catalogue, now_ms: int, key: KeyOf) -> tuple[Pieces, ...]:
    """Return the lines above the tabs: where it sends, what, and how that goes."""
    words, tone = standing_words(hook, now_ms, key)
    return (
        ((" to      ", "quiet"), (url_in_words(hook.url), "plain")),
        ((" events  ", "quiet"), (in_words(catalogue, hook.events), "plain")),
        ((" state   ", "quiet"), (words, tone)),
    )


def settings_sections(hook: Hook, catalogue: Catalogue, now_ms: int) -> list[Section]:
    """Return every setting, to be read; ``e`` edits them."""
    retries = total_in_words(hook.retry_schedule_s)
    if hook.retry_schedule_s:
        retries += f": after {schedule_text(hook.retry_schedule_s)} (each ±10 %)"
    rate = "no limit" if hook.rate_per_s is None else f"{hook.rate_per_s:g} deliveries a second"
    sections = [
        Section(
            "Hook",
            pairs=(
                ("id", str(hook.id)),
                ("type", "webhook" if hook.type == "web" else hook.type),
                ("name", hook.name),
                ("URL", url_in_words(hook.url)),
                ("events", in_words(catalogue, hook.events)),
                ("filter", hook.filter or "none: all of these events"),
                ("active", "yes" if hook.active else f"no: {hook.disabled_reason}"),
            ),
        ),
        Section(
            "How it sends",
            pairs=(
                ("X-Hook-Signature", hook.signature_hash),
                ("TLS", "verified" if hook.verify_tls else "NOT verified"),
                ("basic auth", f"as {hook.basic_auth.user}" if hook.basic_auth else "none"),
                ("deadline", f"{duration_text(hook.timeout_s)} for a whole attempt"),
                ("retries", retries),
                ("rate", rate),
                ("at once", f"at most {hook.max_in_flight}"),
                ("order", "one after another" if hook.ordered else "side by side"),
            ),
        ),
    ]
    if hook.headers:
        sections.append(Section("Headers of its own", pairs=tuple(hook.headers.items())))
    made = f"{moment(from_rfc3339(hook.created_at), now_ms)} ({_ago(hook.created_at, now_ms)})"
    changed = f"{moment(from_rfc3339(hook.updated_at), now_ms)} ({_ago(hook.updated_at, now_ms)})"
    sections.append(
        Section(
            "Made and changed",
            pairs=(("made", made), ("changed", changed), ("version", str(hook.version))),
        )
    )
    return sections


def _ago(then: str | None, now_ms: int) -> str:
    words = ago(then, now_ms)
    return "just now" if words == "now" else f"{words} ago" if words else ""
