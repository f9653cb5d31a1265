"""The table of routes: complete, fail-closed, and every role gets exactly what is its own."""

from __future__ import annotations

import asyncio
import os

import pytest

from hooktui.api import access
from hooktui.api.access import RULES, Caller, find_rule
from hooktui.api.identity import role_of
from hooktui.api.ingest import MANY, ONE
from hooktui.api.peer_credentials import Names, PeerCredentials, peer_of
from hooktui.api.responses import MethodNotAllowed
from hooktui.api.service import RoleMap
from hooktui.domain.errors import NotAllowed, NotFound
from hooktui.domain.ids import AccountId
from hooktui.domain.roles import Need, Role

SOMEBODY = max(os.geteuid(), 1) + 1


def test_no_route_is_in_the_table_twice():
    assert len(RULES) == len({(rule.method, rule.path) for rule in RULES})


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.method} {rule.path}")
def test_a_rule_is_found_by_its_path(rule):
    path = rule.path.replace("{", "").replace("}", "")
    assert find_rule(rule.method, path) is rule


@pytest.mark.parametrize(
    "path",
    ["/", "", "/v1", "/v1/", "/v1/hooks/", "/v1/hooks//ping", "/v1/hooks/1/2/3", "/metrics/",
     "/v1/hooks/1/diagnosis", "/v1/audit/", "/V1/hooks", "/v1/events/a/b", "//v1/hooks"],
)  # fmt: skip
def test_what_is_not_in_the_table_is_not_there(path):
    with pytest.raises(NotFound):
        find_rule("GET", path)


def test_a_wrong_method_names_all_the_right_ones():
    with pytest.raises(MethodNotAllowed) as caught:
        find_rule("PUT", "/v1/hooks/7")
    assert caught.value.allowed == "DELETE, GET, HEAD, PATCH"


def test_what_takes_events_in_and_nothing_else_is_for_producers():
    paths = {rule.path for rule in RULES if rule.need is Need.PRODUCE}
    assert paths == {ONE, MANY}


def test_only_health_and_documents_need_no_role():
    assert {rule.path for rule in RULES if rule.need is None} == {
        "/healthz", "/readyz", "/openapi.json", "/docs",
    }  # fmt: skip


def test_whatever_changes_something_needs_more_than_a_viewer():
    weak = [rule.path for rule in RULES if rule.method != "GET" and rule.need in (None, Need.READ)]
    # These ask by POST, because what they ask is large.
    assert weak == ["/v1/hooks/dry-run", "/v1/replays/plan"]


def test_secrets_and_tokens_are_for_admins():
    shown = [rule for rule in RULES if "/secret" in rule.path or "/tokens" in rule.path]
    assert len(shown) == 6
    assert {rule.need for rule in shown} == {Need.ADMINISTER}


@pytest.mark.parametrize(
    ("names", "role"),
    [
        (Names("ann", frozenset()), Role.OPERATOR),
        (Names("bob", frozenset({"ops"})), Role.ADMIN),
        (Names("bob", frozenset({"staff"})), Role.VIEWER),
        (Names("bob", frozenset({"staff", "ops"})), Role.ADMIN),
        (Names("ann", frozenset({"staff"})), Role.OPERATOR),
        (Names("bob", frozenset({"others"})), None),
        (Names("bob", frozenset({"staff", "robots"})), Role.VIEWER),
        (Names("robot", frozenset({"staff"})), Role.VIEWER),
        (Names("bob", frozenset({"robots"})), Role.PRODUCER),
    ],
)
def test_users_and_groups_give_the_highest_of_their_roles(names, role):
    roles = RoleMap(
        {"ann": Role.OPERATOR, "robot": Role.PRODUCER},
        {"ops": Role.ADMIN, "staff": Role.VIEWER, "robots": Role.PRODUCER},
    )
    assert role_of(PeerCredentials(1, SOMEBODY, 1), names, roles) is role


@pytest.mark.parametrize("uid", [0, os.geteuid()])
def test_root_and_the_owner_of_the_server_are_admin(uid):
    nobody = Names("x", frozenset())
    assert role_of(PeerCredentials(1, uid, 1), nobody, RoleMap({"x": Role.VIEWER})) is Role.ADMIN


def test_the_account_is_1_unless_asked_or_bound():
    free, bound = Caller("a", Role.ADMIN), Caller("b", Role.ADMIN, AccountId(7))
    assert free.account(None) == 1
    assert free.account(3) == 3
    assert free.account_or_any(None) is None
    assert bound.account(None) == bound.account_or_any(None) == bound.account(7) == 7


# Red when every path is remembered: whoever has no token fills the memory with long ones.
def test_only_short_paths_are_remembered_and_not_too_many():
    access._match_short.cache_clear()
    for number in range(3_000):
        assert find_rule("GET", f"/v1/events/{number}-{'x' * 5_000}").need is Need.READ
    assert access._match_short.cache_info().currsize == 0
    for number in range(3_000):
        assert find_rule("GET", f"/v1/events/{number}").path == "/v1/events/{event}"
    assert access._match_short.cache_info().currsize == 1_000


@pytest.mark.parametrize("method", [Caller.account, Caller.account_or_any])
def test_a_bound_token_cannot_touch_another_account(method):
    with pytest.raises(NotAllowed, match="bound to account 7"):
        method(Caller("b", Role.ADMIN, AccountId(7)), 1)


def test_an_actor_comes_with_its_process():
    caller = Caller("ann", Role.ADMIN, peer=PeerCredentials(os.getpid(), 0, 0))
    assert caller.actor.origin.startswith(f"unix pid={os.getpid()} uid=0")
    assert Caller("t", Role.ADMIN, address="::1").actor.origin == "tcp ::1"


async def test_the_kernel_names_the_peer(tmp_path):
    seen = asyncio.get_running_loop().create_future()

    async def serve(_reader, writer):
        seen.set_result(peer_of(writer.get_extra_info("socket")))
        writer.close()

    async with await asyncio.start_unix_server(serve, tmp_path / "s"):
        _, writer = await asyncio.open_unix_connection(tmp_path / "s")
        assert await seen == PeerCredentials(os.getpid(), os.geteuid(), os.getegid())
        writer.close()
