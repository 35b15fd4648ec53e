"""A PostgreSQL for one test session: initdb, a free port on loopback, one database per test, and several ways to stop it."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
from ports import free_port

from books import migrate, open_books

BIN = Path("/usr/lib/postgresql/15/bin")
PASSWORD = "s3ntinel-of-the-books"
"""Of every user. Tests check that it is in no log and no message."""

CONF = """
listen_addresses = '127.0.0.1'
fsync = off                     # a kill of the server loses nothing by it; a power cut is not tried here
shared_buffers = 16MB
max_connections = 60
max_wal_size = 256MB
logging_collector = off
"""


class PostgreSQL:
    """`fresh()` returns the address of an empty database, `fresh(migrated=True)` of one with the tables of this release."""

    def __init__(self, conf: str = "") -> None:
        # PostgreSQL refuses root, so its process belongs to nobody, and so does its directory.
        self._as = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.home = Path(tempfile.mkdtemp(prefix="ringfence-pg-"))
        os.chown(self.home, self._as.pw_uid, self._as.pw_gid)
        self.data, self.log = self.home / "data", self.home / "log"
        self.port = free_port()
        secret = self.home / "password"
        secret.write_text(PASSWORD)
        os.chown(secret, self._as.pw_uid, self._as.pw_gid)
        self._run(
            "initdb", "-U", "admin", "--auth=scram-sha-256", f"--pwfile={secret}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"
        )
        with (self.data / "postgresql.conf").open("a") as out:
            out.write(f"{CONF}\nport = {self.port}\nunix_socket_directories = '{self.home}'\n{conf}\n")
        self._numbers = itertools.count(1)
        self._template = ""
        self.start()
        self.admin(f"CREATE ROLE ringfence LOGIN PASSWORD '{PASSWORD}'")

    # --- databases ---

    def dsn(self, database: str, user: str = "ringfence", password: str = PASSWORD, query: str = "") -> str:
        return f"postgresql://{user}:{password}@127.0.0.1:{self.port}/{database}{query}"

    def admin(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """As the superuser, outside of any transaction."""
        dsn = self.dsn(database, "admin")
        with psycopg.connect(dsn, autocommit=True) as conn:
            done = conn.execute(sql)  # type: ignore[call-overload]
            return done.fetchall() if done.description else []

    def fresh(self, migrated: bool = False) -> str:
        if migrated and not self._template:
            self._template = self._make("template_migrated")
            engine = open_books(self.dsn(self._template))
            migrate(engine)
            engine.dispose()
        return self.dsn(self._make(f"test_{next(self._numbers)}", self._template if migrated else "template0"))

    def _make(self, name: str, template: str = "template0") -> str:
        self.admin(f"CREATE DATABASE {name} OWNER ringfence TEMPLATE {template}")
        return name

    def drop(self, dsn: str) -> None:
        """Drop a database and close its connections."""
        self.admin(f"DROP DATABASE IF EXISTS {dsn.rpartition('/')[2].partition('?')[0]} WITH (FORCE)")

    # --- life ---

    def start(self) -> None:
        self._run("pg_ctl", "-l", str(self.log), "-w", "start")

    def stop(self, how: str = "fast") -> None:
        """`fast`: open transactions are rolled back. `immediate`: as a crash."""
        self._run("pg_ctl", "-m", how, "-w", "stop")

    def restart(self, how: str = "immediate") -> None:
        self.stop(how)
        self.start()

    def tls(self, certificate: Path) -> None:
        """From now on with TLS as well; the key is in the file too."""
        os.chown(certificate, self._as.pw_uid, self._as.pw_gid)
        certificate.chmod(0o600)
        with (self.data / "postgresql.conf").open("a") as out:
            out.write(f"ssl = on\nssl_cert_file = '{certificate}'\nssl_key_file = '{certificate}'\n")
        self.restart("fast")

    def freeze(self, on: bool = True) -> None:
        """SIGSTOP to the postmaster and all its children."""
        first = int((self.data / "postmaster.pid").read_text().split()[0])
        for pid in [first, *children(first)]:
            os.kill(pid, signal.SIGSTOP if on else signal.SIGCONT)

    def close(self) -> None:
        if (self.data / "postmaster.pid").exists():
            self.stop("immediate")
        shutil.rmtree(self.home, ignore_errors=True)

    def _run(self, program: str, *arguments: str) -> None:
        as_user = {"user": self._as.pw_uid, "group": self._as.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
        env = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "HOME": str(self.home)}
        done = subprocess.run(
            [BIN / program, "-D", self.data, *arguments], cwd=self.home, env=env, timeout=60,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, **as_user,
        )  # fmt: skip
        if done.returncode:
            raise RuntimeError(
                f"{program} ended with {done.returncode}: {done.stderr}{self.log.read_text() if self.log.exists() else ''}"
            )


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
