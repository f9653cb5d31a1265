"""Every command with a server that refuses it: not allowed, gone, or changed meanwhile."""

from __future__ import annotations

import pytest

from hooktui.console.frame.dialogs import ConsoleDialog
from hooktui.console.hooks.form_screen import HookForm
from hooktui.console.hooks.hooks_screen import HooksScreen
from hooktui.console.shell.server_connection import ConnectionState
from hooktui.domain.roles import Need, Role, why_not
from tests.console.client import Client
from tests.console.command_scene import Scene, begin, possible, staged
from tests.console.command_table import WRITING, Asking, halves
from tests.console.gate import as_role, says
from tests.support.receivers import Receiver

NOT_ALLOWED = why_not(Role.VIEWER, Need.OPERATE)
GONE = "there is no such thing any more"
REFUSALS = (
    says(403, NOT_ALLOWED),
    says(404, GONE),
    says(409, "somebody changed it meanwhile"),
)
TOLD = (NOT_ALLOWED, GONE, "somebody changed it meanwhile")


# Red when a refusal is swallowed, or shown as if the thing was done.
@pytest.mark.parametrize("cases", halves(WRITING, 1))
async def test_a_refusal_is_reported_in_the_words_of_the_server_and_nothing_counts_as_done(
    cases: list[Asking], client: Client, receiver: Receiver
):
    async with staged(client, receiver) as scene:
        for case in cases:
            await begin(scene, case)
            for refusal, told in zip(REFUSALS, TOLD, strict=True):
                toggled = scene.app.account.last_toggled
                scene.gate.spoil(case.pattern(scene), refusal)
                await _is_refused(scene, case, told)
                scene.gate.mend()
                scene.app.account.last_toggled = toggled  # a hook that is gone was left out
            scene.stale = bool(case.setup or case.before)


async def _is_refused(scene: Scene, case: Asking, told: str) -> None:
    await possible(scene, case.command)
    scene.screen.notices.clear()
    await scene.console.press(*case.keys(scene))
    # A form asks what is to become of both edits, or of those of a hook that is deleted, and the
    # name of an account can be changed.
    if (case.screen, case.name, told) == (HookForm, "edit", GONE):
        told = "was deleted while you were editing"
    await scene.console.until(lambda: told in scene.console.text)
    if isinstance(scene.screen, ConsoleDialog):
        await scene.console.press("escape")
        await scene.console.until(lambda: type(scene.screen) is case.screen)
    assert type(scene.screen) is case.screen
    assert not any(text in scene.notice for text in case.shown(scene)), case
    assert case.done is not None
    assert not case.done(scene), case


# Red when the commands stay lit after the server has said that the role is another one.
async def test_after_a_refusal_the_commands_that_the_role_does_not_allow_are_dimmed(
    client: Client, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
):
    # Only what is busy reads its status again by itself.
    monkeypatch.setattr("hooktui.console.shell.status._is_calm", lambda _: True)
    async with staged(client, receiver) as scene:
        await scene.open(HooksScreen)
        await scene.console.until(lambda: not scene.app.status._due)
        scene.gate.spoil("GET /v1/status", as_role("viewer"))
        scene.gate.spoil("POST .*/ping", says(403, NOT_ALLOWED))
        assert scene.screen.disabled_reason("ping") is None
        await scene.console.press("p")
        await scene.console.until(lambda: NOT_ALLOWED in scene.notice)
        await scene.console.until(lambda: scene.screen.disabled_reason("ping") == NOT_ALLOWED)
        await scene.console.press("e")
        await scene.console.until(lambda: "needs the role admin" in scene.notice)
        assert scene.gate.count("POST .*/ping") == 1


# Red when a console whose token was revoked says that the server went away.
async def test_a_token_that_is_revoked_meanwhile_is_reported_and_looked_at_again(
    client: Client, receiver: Receiver
):
    reason = "unknown or revoked token; ask an admin for a new one"
    async with staged(client, receiver) as scene:
        await scene.open(HooksScreen)
        scene.gate.spoil(".*", says(401, reason))
        scene.gate.drop()
        await scene.console.until(lambda: reason in scene.notice)
        await scene.console.until(lambda: scene.app.connection.state is ConnectionState.REFUSED)
        scene.screen.notices.clear()
        await scene.console.shows("access denied", "billing")
        await scene.console.press("p")
        await scene.console.until(lambda: reason in scene.notice)
        scene.gate.mend()
        await scene.console.until(lambda: "access restored" in scene.notice)
        assert scene.app.connection.state is ConnectionState.CONNECTED
