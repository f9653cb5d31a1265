"""A text names no key to a role that may not press it."""

import pytest

from tests.console.client import Client


# Red when the texts name keys that are refused to a viewer.
async def test_a_viewer_is_told_of_no_key_that_is_refused(open_console, make_hook, client: Client):
    hook = make_hook(name="billing")
    async with open_console(role="viewer") as console:
        await console.shows("billing", "(viewer)")
        await console.open_hook(hook["id"])
        await console.shows("nothing sent yet", "No deliveries yet")
        assert "sends a ping" not in console.text


# Red when an empty list names the key that sends an event, which only producers and admins may do.
@pytest.mark.parametrize(("key", "title"), [("3", "No events yet"), ("8", "No deliveries yet")])
@pytest.mark.parametrize(("role", "named"), [("operator", False), ("admin", True)])
async def test_an_empty_list_names_the_key_of_emit_to_those_who_may(
    open_console, key, title, role, named
):
    async with open_console(role=role) as console:
        await console.shows("No hooks yet", f"({role})")
        await console.press(key)
        await console.shows(title)
        await console.until(lambda: ("E  sends" in console.text) is named)
