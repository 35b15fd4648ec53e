"""The API: who may ask, what it answers by table and by the scalar choice alike, portability, and bad bodies."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from starlette.testclient import TestClient

from api.app import app
from books import alerts, audit, credentials, deliveries, reading, writing
from core.facts import Facts
from core.orders import Finding, Key
from rating.routes.live import Live, Standing
from services.portability.local import import_file

NOW = 1_795_000_000_000


@pytest.fixture
def client(house: Any) -> TestClient:
    house.publish()
    return TestClient(app(house.asking, house.find))


def ask(client: TestClient, path: str = "route", token: str = "a-token-of-the-tests", status: int = 200, **body: Any) -> Any:
    response = client.post(f"/v1/{path}", json=body, headers={"Authorization": f"Bearer {token}"})
    assert response.status_code == status, response.text
    return response.json()


def wait_for_table(house: Any) -> None:
    deadline = time.monotonic() + 20
    while house.asking._building or not house.asking._tables:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_same_answer_by_the_scalar_choice_and_by_the_table(client: TestClient, house: Any) -> None:
    cases = ("+43 1 234567", "+43 664 123456", "+882 13 123456", "+1 202 5550123", "x")
    first = {number: ask(client, account="acme", b_number=number) for number in cases}
    wait_for_table(house)
    second = {number: ask(client, account="acme", b_number=number) for number in cases}
    for number in cases:
        assert first[number]["routes"] == second[number]["routes"] and first[number]["cause"] == second[number]["cause"], number
    assert second["+43 1 234567"]["routes"] == [
        {"rank": 1, "gateway": "beta-1", "carrier": "beta", "address": "192.0.2.2:5060", "number": "431234567"},
        {"rank": 2, "gateway": "alpha-1", "carrier": "alpha", "address": "192.0.2.1:5060", "number": "7001431234567"},
    ]
    assert [one["gateway"] for one in second["+43 664 123456"]["routes"]] == ["alpha-1", "beta-1"]
    assert [second[number]["cause"] for number in cases] == ["", "", "denied", "no_route", "no_route"]


def test_what_is_busy_or_suspect_moves_at_once(client: TestClient, house: Any) -> None:
    house.live = Live({("beta", ""): Standing(suspected="false answers")})
    ask(client, account="acme", b_number="431234567")
    wait_for_table(house)
    assert ask(client, account="acme", b_number="431234567")["routes"][0]["gateway"] == "alpha-1"
    house.live = house.live._replace(busy={"alpha-1": 2})
    assert [one["gateway"] for one in ask(client, account="acme", b_number="431234567")["routes"]] == ["beta-1"]


def test_a_ported_number_goes_by_its_lrn_and_a_delta_is_known_at_once(client: TestClient, house: Any) -> None:
    house.folder.joinpath("dump.csv").write_text("431234567,43664000\n")
    import_file(house.folder / "dump.csv", house.folder / "state", "t1", delta=False)
    found = ask(client, account="acme", b_number="431234567")
    assert (found["lrn"], found["routes"][0]["gateway"], found["routes"][0]["number"]) == ("43664000", "alpha-1", "7001431234567")
    assert ask(client, account="acme", b_number="43664123456", lrn="431")["routes"][0]["gateway"] == "beta-1", "known already: nobody is asked"


@pytest.mark.parametrize("fails", ["open", "closed"])
def test_a_dip_that_fails_lets_the_call_go_on_or_not(client: TestClient, house: Any, fails: str) -> None:
    row = f'portability: [{{name: mnp, kind: http, url: "http://127.0.0.1:1/{{number}}", fails: {fails}}}]'
    house.publish(house.folder.joinpath("config.yaml").read_text().replace("portability: [{name: mnp}]", row))
    found = ask(client, account="acme", b_number="431234567")
    assert found["note"].startswith("portability mnp: the service cannot be reached")
    assert (found["cause"], bool(found["routes"])) == (("", True) if fails == "open" else ("portability", False))


def test_who_may_not_ask_and_what_cannot_be_read(client: TestClient) -> None:
    assert "token is not known" in ask(client, token="another-token-of-16", status=401, account="acme", b_number="431")["error"]
    assert client.post("/v1/route").status_code in (400, 401)
    assert "not valid for tenant 't2'" in ask(client, status=403, account="acme", b_number="431", tenant="t2")["error"]
    assert "missing required field `b_number`" in ask(client, status=400, account="acme")["error"]
    assert ask(client, account="nobody", b_number="431")["cause"] == "no_plan"
    assert ask(client, account="old", b_number="431")["why"] == "account 'old' is not known, or has no route plan"
    headers = {"Authorization": "Bearer a-token-of-the-tests"}
    assert client.post("/v1/route", content=b"x" * 20_000, headers=headers).status_code == 400
    assert client.get("/v1/health").json() == {"ready": True}


def test_a_call_is_screened_as_the_switch_would(client: TestClient, house: Any) -> None:
    key = Key(tenant="t1", account="acme", b_range="88213")
    with writing(house.engine) as conn:
        deliveries.change(conn, "k1", deliveries.BLOCKS, {key.entry(): "order-1"}, 1_795_000_000_000)
    assert ask(client, "screen", account="acme", b_raw="+88213123456") == {"code": 603, "order_id": "order-1", "number": ""}
    assert ask(client, "screen", account="acme", b_raw="+88214123456")["code"] == 0
    assert ask(client, "screen", account="acme", b_raw="112")["code"] == 0


def test_lists_are_read_and_changed_by_a_key_with_that_scope(client: TestClient, house: Any) -> None:
    with writing(house.engine) as conn:
        credentials.add(conn, ["t1"], "crm", "a-key-of-the-crm", [], NOW, ["lists"])
        credentials.add(conn, ["t1"], "crm", "an-expired-key-of-it", [], NOW, ["lists"], NOW + 1)
    entry = {"list": "deny", "kind": "number", "value": "+882 13", "why": "case 17"}
    assert ask(client, "lists", status=403, **entry)["error"].endswith("no scope 'lists'")
    assert "expired" in ask(client, "lists", token="an-expired-key-of-it", status=403, **entry)["error"]
    assert ask(client, "lists", token="a-key-of-the-crm", **entry) == {"value": "88213"}
    assert "protected" in ask(client, "lists", token="a-key-of-the-crm", status=400, **entry | {"list": "protected"})["error"]
    assert "a reason" in ask(client, "lists", token="a-key-of-the-crm", status=400, **entry | {"why": " "})["error"]
    (one,) = client.get("/v1/lists", headers={"Authorization": "Bearer a-key-of-the-crm"}).json()
    assert (one["value"], one["who"], one["switches"]) == ("88213", "api crm", {})
    ask(client, "route", token="a-key-of-the-crm", status=403, account="acme", b_number="431")
    ask(client, "lists", token="a-key-of-the-crm", **entry | {"remove": True})
    assert client.get("/v1/lists", headers={"Authorization": "Bearer a-key-of-the-crm"}).json() == []


def test_a_denied_carrier_is_no_candidate(client: TestClient, house: Any) -> None:
    house.live = Live(denied={"beta": "on the deny list: false answers"})
    assert [one["gateway"] for one in ask(client, account="acme", b_number="+43 1 234567")["routes"]] == ["alpha-1"]


# --- alerts ---


def alert(number: int = 1, tenant: str = "t1") -> Finding:
    return Finding(
        finding_id=f"finding-{number}", tenant=tenant, detector="irsf_range", subject_kind="account", subject="acme", detected_at_ms=NOW,
        first_ms=NOW, last_ms=NOW, calls=9, exposure_nanos=12_500_000_000, currency="EUR", score=2.0, reason="acme is sending 9 calls",
        example_call_ids=["c1"],
    )  # fmt: skip


@pytest.fixture
def desk(client: TestClient, house: Any) -> TestClient:
    with writing(house.engine) as conn:
        credentials.add(conn, ["t1"], "cases", "a-key-of-the-desk", [], NOW, ["alerts", "verdicts"])
        credentials.add(conn, ["t1"], "wall", "a-key-of-the-wall", [], NOW, ["alerts"])
        for one in (alert(), alert(2, "t2")):
            alerts.upsert(conn, one, NOW)
    return client


def read(client: TestClient, path: str, token: str = "a-key-of-the-wall") -> tuple[int, Any]:
    response = client.get(f"/v1/{path}", headers={"Authorization": f"Bearer {token}"})
    return response.status_code, response.json()


def test_alerts_are_read_by_a_key_of_their_tenant_alone(desk: TestClient) -> None:
    status, (one,) = read(desk, "alerts")
    assert status == 200
    assert {name: one[name] for name in ("finding_id", "exposure", "currency", "calls", "status", "verdict")} == {
        "finding_id": "finding-1", "exposure": "12.5", "currency": "EUR", "calls": 9, "status": "", "verdict": "",
    }  # fmt: skip
    assert read(desk, "alerts/finding-1") == (200, one)
    assert read(desk, "alerts/finding-2") == (404, {"error": "tenant t1 has no alert 'finding-2'"})
    assert read(desk, "alerts?limit=many")[0] == 400
    assert read(desk, "alerts?tenant=t2")[0] == 403
    assert read(desk, "alerts", "a-token-of-the-tests")[0] == 403


def test_alerts_about_one_account_at_the_same_time_name_the_one_that_leads(desk: TestClient, house: Any) -> None:
    with writing(house.engine) as conn:
        for number, account in ((3, "blue"), (4, "blue"), (5, "coral")):
            facts = Facts(subject_kind="account", account=account)
            alerts.upsert(conn, msgspec.structs.replace(alert(number), facts=facts, exposure_nanos=number * 10**9), NOW)
    _, found = read(desk, "alerts")
    assert {one["finding_id"]: one["attack"] for one in found} == {
        "finding-1": "finding-1", "finding-3": "finding-4", "finding-4": "finding-4", "finding-5": "finding-5",
    }  # fmt: skip
    assert read(desk, "alerts/finding-3")[1]["attack"] == "finding-4"


def test_a_verdict_is_given_once_and_is_in_the_audit(desk: TestClient, house: Any) -> None:
    path, body = "alerts/finding-1/verdict", {"verdict": "not fraud", "why": "their campaign", "quiet": "2d"}
    assert "no scope 'verdicts'" in ask(desk, path, token="a-key-of-the-wall", status=403, **body)["error"]
    first = ask(desk, path, token="a-key-of-the-desk", **body)
    assert (first["verdict"], first["who"], first["repeated"]) == ("not fraud", "api cases", False)
    again = ask(desk, path, token="a-key-of-the-desk", **body)
    assert again == first | {"repeated": True}
    with reading(house.engine) as conn:
        assert [one.verb for one in audit.last(conn) if one.who == "api cases"].count("verdict: not fraud") == 1
    other = ask(desk, path, token="a-key-of-the-desk", verdict="fraud", why="the customer says so")
    assert (other["verdict"], other["repeated"], other["quiet_until_ms"]) == ("fraud", False, 0)
    assert read(desk, "alerts/finding-1")[1]["verdict"] == "fraud"


@pytest.mark.parametrize(
    ("finding", "body", "status", "error"),
    [
        ("finding-2", {}, 404, "has no alert"),
        ("nothing", {}, 404, "has no alert"),
        ("finding-1", {"verdict": "perhaps"}, 400, "Invalid enum value 'perhaps'"),
        ("finding-1", {"why": " "}, 400, "needs a reason"),
        ("finding-1", {"quiet": "a fortnight"}, 400, "fortnight"),
        ("finding-1", {"verdict": "not fraud", "quiet": "900d"}, 400, "at most 90 days"),
        ("finding-1", {"colour": "red"}, 400, "unknown field `colour`"),
        ("finding-1", {"tenant": "t2"}, 403, "not valid for tenant"),
    ],
)
def test_a_verdict_that_cannot_be_given(desk: TestClient, finding: str, body: dict[str, str], status: int, error: str) -> None:
    asked = {"verdict": "fraud", "why": "case 17"} | body
    assert error in ask(desk, f"alerts/{finding}/verdict", token="a-key-of-the-desk", status=status, **asked)["error"]
    assert read(desk, "alerts/finding-1")[1]["verdict"] == ""


def test_the_document_has_every_path(client: TestClient) -> None:
    found = client.get("/v1/openapi.json").json()
    documented = {(path, method) for path, methods in found["paths"].items() for method in methods}
    served = {(one.path, method.lower()) for one in client.app.router.routes for method in one.methods - {"HEAD"}}  # type: ignore[attr-defined]
    assert documented == served - {("/v1/openapi.json", "get")}
    assert found["components"]["schemas"]["AskedVerdict"]["properties"]["verdict"]["enum"] == ["fraud", "not fraud", "unsure"]
