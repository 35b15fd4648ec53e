"""What is sent, to real servers on this machine, and what a crash leaves."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook

from books import Connection, alerts, notifications, takes, writing
from books.engine import Engine
from core.notify import HOUR_MS, MOST_PER_HOUR, Event, Notice, Target
from core.orders import Finding
from services.errors import ServiceError
from services.mailing import smtp
from services.notifying import alerts as of_alerts
from services.notifying import rounds, sending, targets

NOW = 1_795_910_400_000
MIN = 60_000


def no_fault(step: str) -> None:
    """Nothing dies."""


def add(engine: Engine, **more: Any) -> Target:
    with writing(engine) as conn:
        return targets.add(conn, Target(**{"name": "ops", "kind": "email", "address": "ops@example.net", "who": "ann"} | more), "w")


def raise_alert(conn: Connection, finding_id: str = "f1", at_ms: int = NOW) -> None:
    reason = "acme is sending 42 calls to +960 900 993 (Maldives, premium): 24.45 EUR in 6 minutes, 150 times its normal. Caller 436641234567."
    finding = Finding(
        finding_id=finding_id, tenant="t1", detector="burst", subject_kind="account", subject="acme", detected_at_ms=at_ms, first_ms=at_ms,
        last_ms=at_ms, calls=42, exposure_nanos=24_450_000_000, currency="EUR", score=2.0, reason=reason, example_call_ids=[],
    )  # fmt: skip
    alerts.upsert(conn, finding, at_ms)


class Box:
    """What a receiver got, and what it answers."""

    def __init__(self) -> None:
        self.got: list[tuple[dict[str, str], str]] = []
        self.status = 200


@pytest.fixture
def web() -> Iterator[tuple[Box, str]]:
    box = Box()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"])).decode()
            box.got.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(box.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield box, f"http://127.0.0.1:{server.server_port}/hook/secret"
    server.shutdown()
    server.server_close()


@pytest.fixture
def mailbox() -> Iterator[tuple[Box, str]]:
    box = Box()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(b"220 here\r\n")
            while line := self.rfile.readline():
                verb = line[:4].upper()
                if verb == b"DATA":
                    self.wfile.write(b"354 go\r\n")
                    lines = []
                    while (one := self.rfile.readline()) != b".\r\n":
                        lines.append(one.decode())
                    box.got.append(({}, "".join(lines)))
                    self.wfile.write(b"250 taken\r\n")
                elif verb == b"QUIT":
                    self.wfile.write(b"221 bye\r\n")
                    return
                elif verb == b"RCPT" and box.status != 200:
                    self.wfile.write(b"550 no such user\r\n")
                else:
                    self.wfile.write(b"250 ok\r\n")

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield box, f"smtp://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def run(engine: Engine, at_ms: int = NOW, mail: str = "", fault=no_fault, holder: str = "one", more: list[Event] | None = None) -> rounds.Round:
    def deliver(notice: Notice, target: Target, now_ms: int) -> None:
        sending.deliver(notice, target, now_ms, smtp(mail) if mail else None, "rf@example.net")

    with writing(engine) as conn:
        events = of_alerts.events(conn, at_ms, "https://rf.example.net")
    return rounds.round_of(engine, [*events, *(more or [])], deliver, holder, lambda: at_ms, fault)


def states(engine: Engine) -> list[tuple[str, str, int]]:
    with writing(engine) as conn:
        return sorted((one.notice.target, one.state, one.attempts) for one in notifications.last(conn))


def test_a_webhook_is_signed_and_carries_the_alert_once(engine: Engine, web: tuple[Box, str]):
    box, url = web
    target = add(engine, kind="webhook", address=url)
    with writing(engine) as conn:
        raise_alert(conn)
    assert run(engine) == rounds.Round(planned=1, sent=1)
    assert run(engine, NOW + MIN) == rounds.Round()
    ((headers, body),) = box.got
    at = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert headers["webhook-signature"] == Webhook(target.secret).sign(headers["webhook-id"], at, body)
    data = json.loads(body)
    assert data["type"] == "alert.opened" and data["data"]["severity"] == "urgent" and data["data"]["about"] == "f1"
    assert data["data"]["title"] == "acme is sending 42 calls to +960 900 993 (Maldives, premium)"
    assert "https://rf.example.net/alerts?alert=f1" in data["data"]["text"]
    assert "436641234567" not in body and "4366••••••67" in data["data"]["text"], "subscribers are masked"


def test_a_mail_says_who_where_and_how_much(engine: Engine, mailbox: tuple[Box, str]):
    box, url = mailbox
    add(engine, whole_numbers=True)
    with writing(engine) as conn:
        raise_alert(conn)
    assert run(engine, mail=url).sent == 1
    ((_, text),) = box.got
    assert "Subject: URGENT: acme is sending 42 calls to +960 900 993" in text and "Importance: high" in text
    assert "24.45 EUR" in text and "436641234567" in text.replace("=\r\n", "")


@pytest.mark.parametrize("host", ["hooks.slack.com", "example.webhook.office.com"])
def test_a_chat_gets_what_it_reads(host: str):
    said = sending.chat(Notice("m", "ops", "f1", "t1", "urgent", "42 calls", "text", False, 0, 0), host)
    assert ("text" in said) == (host == "hooks.slack.com") and "42 calls" in json.dumps(said)


def test_a_receiver_that_is_away_is_tried_again_later_each_time_and_in_the_end_given_up(engine: Engine, web: tuple[Box, str]):
    box, url = web
    add(engine, kind="chat", address=url)
    with writing(engine) as conn:
        raise_alert(conn)
    box.status, at_ms = 503, NOW
    assert run(engine).failed == 1 and run(engine, NOW + 4_999) == rounds.Round()
    for _ in range(20):
        at_ms += 5 * 3_600_000
        run(engine, at_ms)
    assert states(engine) == [("ops", "failed", 8)] and len(box.got) == 8
    with writing(engine) as conn:
        assert "503" in notifications.last(conn)[0].error


def test_a_receiver_that_is_gone_is_not_tried_again(engine: Engine, web: tuple[Box, str]):
    box, url = web
    add(engine, kind="webhook", address=url)
    with writing(engine) as conn:
        raise_alert(conn)
    box.status = 410
    run(engine)
    assert states(engine) == [("ops", "failed", 1)]


class Dies(Exception):
    """The process is killed here."""


@pytest.mark.parametrize(("step", "received"), [("plan", 1), ("sending", 1), ("send", 2), ("mark", 1)])
def test_a_crash_sends_at_most_once_more_and_under_the_same_id(engine: Engine, web: tuple[Box, str], step: str, received: int):
    box, url = web
    add(engine, kind="webhook", address=url)
    with writing(engine) as conn:
        raise_alert(conn)

    def dies(at: str) -> None:
        if at == step:
            raise Dies

    with pytest.raises(Dies):
        run(engine, fault=dies)
    run(engine, NOW + 2_000)
    run(engine, NOW + 4_000)
    assert len(box.got) == received and len({headers["webhook-id"] for headers, _ in box.got}) == 1
    assert [state for _, state, _ in states(engine)] == ["sent"]


@pytest.mark.parametrize("step", ["plan", "sending", "send", "mark"])
def test_of_a_flood_each_message_within_the_limit_arrives_under_one_id_though_every_other_round_is_killed(engine: Engine, step: str):
    add(engine)
    got: list[str] = []
    flood = [Event(f"f{at:03}", "t1", "urgent", NOW, "title", "text") for at in range(MOST_PER_HOUR + 40)]

    def dies(at: str) -> None:
        if at == step:
            raise Dies

    def deliver(notice: Notice, target: Target, now_ms: int) -> None:
        got.append(notice.about)

    for n in range(24):
        with suppress(Dies):
            rounds.round_of(engine, flood, deliver, "one", lambda at_ms=NOW + n * 1_000: at_ms, dies if n % 2 else no_fault)
    assert set(got) == {f"f{at:03}" for at in range(MOST_PER_HOUR)} | {f"more/{NOW // HOUR_MS}/urgent"}
    assert (len(got) > len(set(got))) == (step in ("send", "mark")), "only what was killed between sending and marking comes twice"
    with writing(engine) as conn:
        assert {one.state for one in notifications.last(conn, 200)} == {"sent", "obsolete"}


def test_nobody_takes_it_so_it_escalates_and_what_is_taken_does_not(engine: Engine, web: tuple[Box, str]):
    box, url = web
    add(engine, kind="chat", address=url)
    add(engine, name="boss", kind="webhook", address=url, after_ms=15 * MIN)
    with writing(engine) as conn:
        raise_alert(conn, "f1")
        raise_alert(conn, "f2")
    run(engine)
    with writing(engine) as conn:
        takes.take(conn, "f2", "ann", False, NOW)
    run(engine, NOW + 15 * MIN)
    assert [one["data"]["about"] for one in map(json.loads, (body for _, body in box.got)) if "data" in one] == ["f1"]
    assert json.loads(box.got[-1][1])["type"] == "alert.escalated"


def test_what_was_held_back_for_the_night_is_not_sent_once_somebody_has_taken_it(engine: Engine, web: tuple[Box, str]):
    box, url = web
    add(engine, kind="chat", address=url, hours="08:00-18:00", always="never")  # NOW is midnight
    with writing(engine) as conn:
        raise_alert(conn)
    assert run(engine).planned == 1
    with writing(engine) as conn:
        takes.take(conn, "f1", "ann", False, NOW)
    run(engine, NOW + 9 * 60 * MIN)
    assert box.got == [] and states(engine) == [("ops", "obsolete", 0)]


def test_two_notifiers_send_once(engine: Engine, web: tuple[Box, str]):
    box, url = web
    add(engine, kind="chat", address=url)
    with writing(engine) as conn:
        raise_alert(conn)
    assert run(engine).sent == 1 and run(engine, holder="two").standby
    assert not run(engine, NOW + rounds.LEASE_MS + 1, holder="two").standby and len(box.got) == 1


def test_a_test_message_says_what_the_receiver_said(engine: Engine, web: tuple[Box, str]):
    box, url = web
    target = add(engine, kind="chat", address=url)
    deliver = lambda notice, target, now_ms: sending.deliver(notice, target, now_ms, None, "")  # noqa: E731
    assert rounds.test(engine, target, deliver, NOW).state == "sent" and len(box.got) == 1
    assert "no mail server" in rounds.test(engine, add(engine, name="m"), deliver, NOW + 1).error


IMPOSSIBLE = [
    ({"address": "nobody"}, "no e-mail address"),
    ({"address": "a@b\nBcc: x@y"}, "no e-mail address"),
    ({"kind": "webhook", "address": "file:///etc/passwd"}, "no address such as"),
    ({"kind": "webhook", "address": "https://x/", "secret": "whsec_abc"}, "whsec_ and base64|24 bytes"),
    ({"hours": "8-18"}, "no hours such as"),
    ({"days": "monday"}, "no days such as"),
    ({"time_zone": "Mars/Olympus"}, "no time zone"),
    ({"least": "loud"}, "severities are"),
    ({"tenant": "nobody"}, "no tenant"),
    ({"name": "a b"}, "is not a name"),
    ({"after_ms": -1}, "at most 24 hours"),
]


def test_a_target_that_cannot_be_is_refused(engine: Engine):
    for fields, why in IMPOSSIBLE:
        with pytest.raises(ServiceError, match=why):
            add(engine, **fields)


def test_the_secret_stays_while_the_address_does(engine: Engine):
    first = add(engine, kind="webhook", address="https://x.example/a")
    assert add(engine, kind="webhook", address="https://x.example/a", least="low").secret == first.secret
    assert add(engine, kind="webhook", address="https://y.example/a").secret != first.secret
