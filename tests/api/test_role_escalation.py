"""Somebody with a viewer's token who wants to be more: by headers, parameters, methods, paths."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

SECRET = "whsec_" + "c2VjcmV0IGVub3VnaCBmb3IgYSB0ZXN0IGxpa2UgdGhpcw=="
RAISING = [
    [("Hooktui-Role", "admin")],
    [("hooktui-role", "ADMIN")],
    [("Hooktui-Role", "viewer"), ("Hooktui-Role", "admin")],
    [("Hooktui-Role", "admin"), ("Hooktui-Role", "viewer")],
    [("Hooktui-Role", "viewer, admin")],
    [("Hooktui-Role", "")],
    [("Hooktui_Role", "admin"), ("X-Hooktui-Role", "admin"), ("Role", "admin")],
    [("X-Forwarded-User", "root"), ("X-Remote-User", "root"), ("X-Real-IP", "127.0.0.1")],
    [("Forwarded", "for=127.0.0.1;host=localhost"), ("X-Forwarded-For", "127.0.0.1")],
    [("X-Original-URL", "/healthz"), ("X-Rewrite-URL", "/healthz")],
    [("Cookie", "role=admin"), ("SUDO_USER", "root")],
]


@pytest.fixture
def hook(api, account) -> int:
    fields = {"url": "http://127.0.0.1:9/", "events": ["job"], "secret": SECRET}
    return api.post("/v1/hooks", params={"account": account}, json=fields).json()["id"]


@pytest.fixture
def viewer(api, server) -> Iterator[httpx.Client]:
    token = api.post("/v1/tokens", json={"name": "v", "role": "viewer"}).json()["token"]
    host, port = server.listen[0]
    with httpx.Client(
        base_url=f"http://{host}:{port}",
        headers={"Authorization": f"Bearer {token}"},
        trust_env=False,
        timeout=40,
    ) as client:
        yield client


# Red when a role that is asked for is taken without comparing, or a second header is looked at.
@pytest.mark.parametrize(
    "headers", RAISING, ids=lambda headers: "; ".join(": ".join(h) for h in headers)
)
def test_no_header_makes_a_viewer_more(api, viewer, hook, headers):
    before = api.get(f"/v1/hooks/{hook}").json()
    for method, path, body in (
        ("GET", f"/v1/hooks/{hook}/secret", None),
        ("PATCH", f"/v1/hooks/{hook}", {"active": False}),
        ("DELETE", f"/v1/hooks/{hook}", None),
        ("POST", "/v1/tokens", {"name": "t", "role": "admin"}),
    ):
        answer = viewer.request(method, path, headers=headers, json=body)
        assert answer.status_code in (400, 403), (method, path, answer.text)
        assert SECRET not in answer.text
    assert api.get(f"/v1/hooks/{hook}").json() == before


@pytest.mark.parametrize("name", ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"])
def test_a_method_is_the_one_of_the_request_line(api, viewer, hook, name):
    for method in ("GET", "HEAD"):
        answer = viewer.request(method, f"/v1/hooks/{hook}", headers={name: "DELETE"})
        assert answer.status_code == 200
    assert viewer.get(f"/v1/hooks/{hook}", params={"_method": "DELETE"}).status_code == 422
    assert api.get(f"/v1/hooks/{hook}").status_code == 200


@pytest.mark.parametrize("name", ["role", "Hooktui-Role", "as", "user", "token", "access_token"])
def test_no_parameter_makes_a_viewer_more(viewer, hook, name):
    assert viewer.get("/v1/hooks", params={name: "admin"}).status_code == 422
    for path in (f"/v1/hooks/{hook}/secret", "/v1/tokens"):
        assert viewer.get(path, params={name: "admin"}).status_code == 403


# Red when the gate and the routes read a path differently.
@pytest.mark.parametrize(
    "path",
    ["/v1/hooks/{}/secret", "/v1/hooks/{}%2Fsecret", "/v1/hooks/{}/%73ecret",
     "/v1/hooks/{}/secret/", "/v1/hooks/{}//secret", "//v1/hooks/{}/secret",
     "/v1/hooks/{}/secret%0a", "/v1/hooks/{}/secret;x", "/v1/hooks/{}/secret%00",
     "/v1/hooks/./{}/secret", "/v1/events/../hooks/{}/secret", "/healthz/../v1/hooks/{}/secret",
     "/healthz%2F..%2Fv1%2Fhooks%2F{}%2Fsecret", "/V1/HOOKS/{}/SECRET",
     "/v1/hooks/{}/secret?/healthz", "/v1/hooks/{}/secret%3f", "/v1/hooks/%09{}/secret",
     "/v1/hooks/{}/secret%23", "/openapi.json/../v1/hooks/{}/secret"],
)  # fmt: skip
def test_no_way_of_writing_a_path_leads_past_the_access_rules(viewer, hook, path):
    for method in ("GET", "HEAD", "POST"):
        # As it stands: httpx would tidy it up.
        request = viewer.build_request(method, "/", json={} if method == "POST" else None)
        request.url = request.url.copy_with(raw_path=path.format(hook).encode())
        answer = viewer.send(request)
        assert answer.status_code in (400, 403, 404, 405), answer.text
        assert SECRET not in answer.text


def test_an_operator_changes_nothing_but_whether_a_hook_is_active(api, tcp, hook):
    made = tcp.post("/v1/tokens", json={"name": "o", "role": "operator"}).json()["token"]
    bearer = {"Authorization": f"Bearer {made}", "Content-Type": "application/json"}
    before = api.get(f"/v1/hooks/{hook}").json()
    url = f"/v1/hooks/{hook}"
    for content in (
        '{"active": true, "url": "http://127.0.0.1:10/"}',
        '{"active": true, "name": null}',
        '{"url": "http://127.0.0.1:10/", "active": true, "version": 1}',
        '{"active": true, "headers": {}}',
        '{"active": true, "secret": "x"}',
        '{"active": true, "account": 1}',
        '{"active": true, "active": true, "verify_tls": false}',
        '{"\\u0075rl": "http://127.0.0.1:10/"}',
        "[]",
    ):
        answer = tcp.patch(url, headers=bearer, content=content)
        assert answer.status_code in (400, 403, 422), (content, answer.text)
    assert api.get(url).json() == before
    assert tcp.patch(url, headers=bearer, content='{"active": false}').status_code == 200
