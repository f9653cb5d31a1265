"""``POST /v1/hooks/dry-run``: what it tells, what it refuses, and that it changes nothing."""

from __future__ import annotations

import pytest

from tests.support.running_server import running_server

SHOP = """
[[group]]
id = "shop"
name = "Shop"
[[group.type]]
id = "shop.sold"
name = "Sold"
description = "Something was sold."
"""


@pytest.fixture
def try_it(api, account):
    def post(status=200, **fields):
        answer = api.post("/v1/hooks/dry-run", params={"account": account}, json=fields)
        assert answer.status_code == status, answer.text
        return answer.json()

    return post


@pytest.fixture
def hook(api, account):
    fields = {"url": "http://127.0.0.1:9/in", "events": ["job"], "filter": "data.a:1"}
    made = api.post("/v1/hooks", params={"account": account}, json=fields).json()
    for size in range(3):
        api.post(
            f"/v1/events/job.failed?account={account}",
            content=b'{"a":%d}' % size,
            headers={"Content-Type": "application/json"},
        )
    return made


def test_a_change_is_tried_and_nothing_is_changed(api, try_it, hook):
    # Red when a filter of null is taken for one that is not given.
    run = try_it(hook=hook["id"], filter=None)
    assert (run["looked"], run["sent"], run["sent_now"], run["more"]) == (3, 3, 1, 2)
    assert [one["change"] for one in run["data"]] == ["more", "more", "same"]
    assert try_it(hook=hook["id"])["sent"] == 1
    assert try_it(hook=hook["id"], events=["cluster"])["fewer"] == 1
    after = api.get(f"/v1/hooks/{hook['id']}").json()
    assert (after["version"], after["filter"]) == (1, "data.a:1")


def test_a_new_hook_is_tried(try_it, hook):
    run = try_it(events=["job"], filter="data.a:2")
    assert (run["sent"], run["sent_now"]) == (1, None)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({}, "/events"),
        ({"events": []}, "/events"),
        ({"events": ["jobs"]}, "/events/0"),
        ({"events": ["job"], "filter": "hook:1"}, "/filter"),
        ({"events": ["job"], "filter": 'data.a:"x'}, "/filter"),
        ({"events": ["job"], "hook": 0}, "/hook"),
        ({"events": ["job"], "url": "http://127.0.0.1/"}, "/url"),
    ],
)
def test_what_cannot_be_tried_is_refused_at_its_field(try_it, fields, pointer):
    assert try_it(422, **fields)["errors"][0]["pointer"] == pointer


def test_an_error_of_the_filter_names_its_column(try_it):
    assert (
        "column 10" in try_it(422, events=["job"], filter="data.a:1 hook:1")["errors"][0]["detail"]
    )


def test_a_hook_of_another_account_is_not_there(api, try_it, hook):
    other = api.post("/v1/accounts", json={"name": "elsewhere"}).json()["id"]
    fields = {"hook": hook["id"], "filter": None}
    assert api.post("/v1/hooks/dry-run", params={"account": other}, json=fields).status_code == 404
    assert try_it(404, hook=424242)["status"] == 404


def test_a_hook_whose_type_left_the_catalogue_is_tried_with_its_own_events(tmp_path):
    # Red when the console shows "unknown event type" beside an edit of the filter that it can save.
    (tmp_path / "shop.toml").write_text(SHOP)
    with (
        running_server(tmp_path / "home", catalogue=str(tmp_path / "shop.toml")) as server,
        server.client() as api,
    ):
        fields = {"url": "http://127.0.0.1:9/", "events": ["shop"]}
        hook = api.post("/v1/hooks", json=fields).json()["id"]
        assert api.post("/v1/events/shop.sold", json={"a": 1}).status_code == 202
    with running_server(tmp_path / "home") as server, server.client() as api:
        edit = {"events": ["shop"], "filter": "data.a:2"}
        run = api.post("/v1/hooks/dry-run", json=edit | {"hook": hook})
        assert run.status_code == 200, run.text
        assert (run.json()["sent"], run.json()["sent_now"]) == (0, 1)
        assert api.patch(f"/v1/hooks/{hook}", json=edit).status_code == 200
        for events in (["shop", "job"], ["shop.sold"]):
            fields = {"hook": hook, "events": events}
            assert api.post("/v1/hooks/dry-run", json=fields).status_code == 422
