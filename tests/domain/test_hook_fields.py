"""What the settings of a hook declare."""

from __future__ import annotations

import msgspec
import pytest

from hooktui.domain.hook_fields import HOOK_SETTINGS, SHOWN_SETTINGS
from hooktui.domain.hook_settings import HookSettings
from hooktui.domain.setting import Setting
from hooktui.domain.wire.hooks import ChangedHook, CreatedHook, Hook, HookStats

SETTINGS = list(HOOK_SETTINGS.values())
USUAL = HookSettings(url="", events=())
WRITTEN = [
    one for one in SHOWN_SETTINGS
    if one.kind is not bool and one.name not in ("headers", "sensitive_headers", "basic_auth")
]  # fmt: skip
EXAMPLES = {"url": "https://example.com/in", "events": ("job", "cluster.error"), "rate_per_s": 2.5}


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda one: one.name)
def test_a_default_passes_its_check_and_has_words(setting: Setting) -> None:
    assert not (setting.check and not setting.required and setting.check(setting.default))
    assert setting.describe(EXAMPLES.get(setting.name, setting.value_in(USUAL)))


@pytest.mark.parametrize("setting", WRITTEN, ids=lambda one: one.name)
def test_a_value_comes_back_from_its_text(setting: Setting) -> None:
    for value in (setting.value_in(USUAL), EXAMPLES.get(setting.name)):
        if value is not None:
            assert setting.parse(setting.format(value)) == value


def test_no_two_settings_share_a_name_for_people() -> None:
    assert len({one.option for one in SETTINGS}) == len({one.label for one in SETTINGS})
    assert len({one.label for one in SETTINGS}) == len(SETTINGS)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [("name", "", "the host of the URL"), ("retry_schedule_s", (), "no retries"),
     ("rate_per_s", None, "no limit"), ("filter", None, "all events")],
)  # fmt: skip
def test_an_empty_text_is_the_empty_value(name: str, value: object, words: str) -> None:
    assert HOOK_SETTINGS[name].parse("") == value
    assert HOOK_SETTINGS[name].describe(value) == words


# Red when a number that no float holds fails as it is written into the message.
@pytest.mark.parametrize("value", [0, 1001, 10**400, -(10**400)])
def test_a_number_out_of_range_is_refused_however_large_it_is(value: int) -> None:
    check = HOOK_SETTINGS["max_in_flight"].check
    assert check is not None
    assert "must be from 1 to 1,000, not" in (check(value) or "")


@pytest.mark.parametrize(
    ("text", "limit", "cap", "words"),
    [("auto", None, None, "auto"), ("auto:50", None, 50, "auto, at most 50"),
     ("20", 20, None, "at most 20")],
)  # fmt: skip
def test_one_text_gives_the_limit_of_attempts_at_once_and_its_cap(
    text: str, limit: int | None, cap: int | None, words: str
) -> None:
    setting = HOOK_SETTINGS["max_in_flight"]
    fields = setting.fields_of(text)
    assert fields == {"max_in_flight": limit, "max_in_flight_cap": cap}
    value = setting.value_in(HookSettings(url="", events=(), **fields))
    assert (setting.format(value), setting.describe(value)) == (text, words)


@pytest.mark.parametrize("text", ["", "auto:", "auto:x", "auto:-1", "automatic", "1.5", "-1", "²"])
def test_a_text_that_is_neither_auto_nor_a_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        HOOK_SETTINGS["max_in_flight"].fields_of(text)


def test_a_hook_begins_with_its_id_and_account_in_every_response() -> None:
    hook = Hook(
        id=3,
        account=1,
        url="https://example.com/in",
        events=("job",),
        disabled_reason=None,
        disabled_at=None,
        created_at="",
        updated_at="",
        version=1,
        stats=HookStats(),
    )
    expected = [
        *("id", "account", *HOOK_SETTINGS, "disabled_reason", "disabled_at", "created_at"),
        *("updated_at", "version", "stats", "in_flight", "in_flight_limit", "limited_by"),
    ]
    created = CreatedHook.of(hook, "whsec_x", ["warning"])
    changed = ChangedHook.of(hook, ["warning"])
    for shown, more in ((hook, []), (created, ["secret", "warnings"]), (changed, ["warnings"])):
        assert list(msgspec.json.decode(msgspec.json.encode(shown))) == expected + more
