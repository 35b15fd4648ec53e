"""Files from a real SFTP server: each is taken once, whole, and nothing that a server says is believed further than it must be."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest
from typer.testing import CliRunner

from books import open_books, picked_files, reading
from ringfence.cli import app
from ringfence.settings import Settings
from services import first_start, pickups
from services.errors import BadArgument
from services.installation import Installation
from services.rehearsal import config
from simulator.billing.own import deck_csv
from switches import sftp
from switches.sftp import Source

NOW_MS = 1_794_000_000_000
pytestmark = pytest.mark.real


class Server:
    """An SFTP server whose root is a folder, in a thread of its own."""

    def __init__(self, root: Path) -> None:
        self.root, self.key = root, asyncssh.generate_private_key("ssh-ed25519")
        self.user_key = asyncssh.generate_private_key("ssh-ed25519")
        self.user_key.write_private_key(str(root.parent / "user.key"))
        self.authorized = root.parent / "authorized"
        self.authorized.write_bytes(self.user_key.export_public_key())
        self.loop, self.port = asyncio.new_event_loop(), 0
        ready = threading.Event()
        self.thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self.thread.start()
        assert ready.wait(30)

    def _run(self, ready: threading.Event) -> None:
        async def listen() -> None:
            self.server = await asyncssh.listen(
                "127.0.0.1", 0, server_host_keys=[self.key], authorized_client_keys=str(self.authorized),
                sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(self.root).encode()),
            )  # fmt: skip
            self.port = self.server.get_port()
            ready.set()

        asyncio.set_event_loop(self.loop)
        self.loop.run_until_complete(listen())
        self.loop.run_forever()

    def source(self, **more: object) -> Source:
        host_key = self.key.export_public_key().decode().strip()
        facts = {"name": "alpha", "host": "127.0.0.1", "port": self.port, "user": "ringfence", "host_key": host_key, "pattern": "*.csv",
            "key_file": str(self.root.parent / "user.key"), "folder": "/out", "sequence": r"_(\d+)\.csv$", "every": "1h"}  # fmt: skip
        return Source(**{**facts, **more})  # type: ignore[arg-type]

    def put(self, name: str, content: bytes, age_s: int = 3600) -> None:
        path = self.root / "out" / name
        path.write_bytes(content)
        os.utime(path, (NOW_MS // 1000 - age_s,) * 2)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    (tmp_path / "server" / "out").mkdir(parents=True)
    made = Server(tmp_path / "server")
    yield made
    made.loop.call_soon_threadsafe(made.loop.stop)
    made.thread.join(10)


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    found = Settings(home=tmp_path / "home", tenant="t1", countries="AT").installation
    first_start.lay(found)
    decks = {"wholesale": deck_csv(), "retail": deck_csv()}
    first_start.open_and_publish(found, first_start.Start(config("t1"), decks, "EUR", ("t1",)), NOW_MS)
    return found


def run(installation: Installation, source: Source, now_ms: int = NOW_MS) -> list[str]:
    return [one.name for one in pickups.run(installation, "", source, "ops", now_ms)]


def test_each_file_is_taken_once_and_the_same_content_is_kept_once(installation: Installation, server: Server):
    server.put("alpha_001.csv", b"a" * 3_000_000, 7200)
    server.put("alpha_002.csv", b"b")
    server.put("alpha_003.csv", b"b", 1800)
    server.put("alpha_004.csv", b"still written", 5)
    server.put("readme.txt", b"no calls")
    server.put(".hidden.csv", b"h")
    assert run(installation, server.source()) == ["alpha_001.csv", "alpha_002.csv", "alpha_003.csv"]
    assert run(installation, server.source()) == []
    assert run(installation, server.source(), NOW_MS + 60_000) == ["alpha_004.csv"]
    folder = installation.root / "pickup" / "t1" / "alpha"
    assert sorted(path.name for path in folder.iterdir()) == ["alpha_001.csv", "alpha_002.csv", "alpha_004.csv"]
    assert (folder / "alpha_001.csv").read_bytes() == b"a" * 3_000_000
    engine = open_books(installation.books_dsn)
    with reading(engine) as conn:
        assert [(one.number, bool(one.path)) for one in picked_files.every(conn, "t1")] == [(1, True), (2, True), (3, False), (4, True)]
    engine.dispose()


def test_what_came_before_a_file_that_cannot_be_read_is_kept_and_a_touched_file_is_known_once_it_was_read(
    installation: Installation, server: Server, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sftp, "MOST_BYTES", 10)
    server.put("alpha_001.csv", b"a", 7200)
    server.put("alpha_002.csv", b"b" * 11)
    for _ in range(2):
        with pytest.raises(pickups.NotPickedUp, match=r"alpha_002.csv has 11 bytes"):
            run(installation, server.source())
    engine = open_books(installation.books_dsn)
    with reading(engine) as conn:
        assert [one.name for one in picked_files.every(conn, "t1")] == ["alpha_001.csv"]
    engine.dispose()
    (server.root / "out" / "alpha_002.csv").unlink()
    server.put("alpha_001.csv", b"a", 3600)
    assert (run(installation, server.source()), run(installation, server.source())) == (["alpha_001.csv"], [])


def test_a_name_with_another_content_is_kept_beside_the_first(installation: Installation, server: Server):
    server.put("alpha_001.csv", b"first")
    run(installation, server.source())
    server.put("alpha_001.csv", b"second, corrected", 1800)
    run(installation, server.source())
    contents = {path.read_bytes() for path in (installation.root / "pickup" / "t1" / "alpha").iterdir()}
    assert contents == {b"first", b"second, corrected"}


def test_a_file_that_was_copied_before_a_crash_is_remembered_by_the_next_run(installation: Installation, server: Server):
    server.put("alpha_001.csv", b"first")
    folder = installation.root / "pickup" / "t1" / "alpha"
    folder.mkdir(parents=True)
    (folder / "alpha_001.csv").write_bytes(b"first")
    (folder / "alpha_001.csv.part").write_bytes(b"fir")
    assert run(installation, server.source()) == ["alpha_001.csv"]
    assert [path.name for path in folder.iterdir()] == ["alpha_001.csv"]


def test_what_cannot_be_read_names_the_server_and_what_to_do(installation: Installation, server: Server):
    other = asyncssh.generate_private_key("ssh-ed25519")
    other.write_private_key(str(server.root.parent / "other.key"))
    for change, words in (
        ({"host_key": other.export_public_key().decode().strip()}, "shows another host key"),
        ({"key_file": str(server.root.parent / "other.key")}, "refuses user ringfence"),
        ({"folder": "/nowhere"}, "folder /nowhere"),
        ({"key_file": "/no/such.key"}, "No such file"),
    ):
        with pytest.raises(pickups.NotPickedUp, match=words):
            run(installation, server.source(**change))


def test_the_command_goes_on_after_a_server_that_is_down(installation: Installation, server: Server, tmp_path: Path):
    server.put("alpha_001.csv", b"first")
    one = server.source()
    entry = f"- {{name: NAME, host: 127.0.0.1, port: PORT, user: ringfence, host_key: '{one.host_key}', key_file: {one.key_file}, folder: /out}}\n"
    listed = entry.replace("NAME", "down").replace("PORT", "1") + entry.replace("NAME", "alpha").replace("PORT", str(server.port))
    (tmp_path / "sources.yaml").write_text(listed)
    result = CliRunner().invoke(app, ["pickup", "--sources", str(tmp_path / "sources.yaml"), "--home", str(installation.root)])
    assert result.exit_code == 1 and "down: 127.0.0.1 cannot be read" in result.output and "alpha: 1 new files." in result.output


@pytest.mark.parametrize(
    ("text", "says"),
    [("- {name: a}", "missing required field `host`"), ("- {name: ../a, host: h, user: u, host_key: k}", "is the name of a folder"),
        ("- {name: a, host: h, user: u, host_key: k, every: soon}", "every: "),
        ("- {name: a, host: h, user: u, host_key: k}", "is no public key")],
)  # fmt: skip
def test_a_fault_in_the_list_of_sources_names_its_place(tmp_path: Path, text: str, says: str):
    (tmp_path / "s.yaml").write_text(text)
    with pytest.raises(BadArgument, match=says):
        pickups.sources_of(tmp_path / "s.yaml")
