"""A real Apache Kafka for the tests and the bench: one KRaft node as a plain Java process, its jars from Maven, no container.

    with Broker(Path("a/directory")) as broker:
        open_journal(broker.dsn())

It has three listeners: one without a password, where every client may do everything; one with TLS and SASL, behind an authorizer; and one
whose certificate is of another host. `kill`, `pause` and `start` do to it what happens to brokers.
"""

from __future__ import annotations

import base64
import os
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import trustme
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key
from jars import jars
from ports import free_ports

POM = Path(__file__).parent / "kafka" / "pom.xml"
END_WITH_PARENT = Path(__file__).parents[2] / "ringfence" / "ops" / "end_with_parent.py"
HOST = "127.0.0.1"
USER, PASSWORD = "ringfence", "a password: with / and @"
GUEST, GUEST_PASSWORD = "guest", "guest-secret"
START_S = 60.0

QUICK = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""For a JVM that starts quickly and shares two cores with the tests."""


def libs() -> Path:
    """The directory of the broker's jars (54 MB). Raises `jars.Missing`."""
    return jars(POM, "kafka", "the broker")


@dataclass
class Broker:
    """One node, broker and controller, with its data in `home`. `java`: options of the JVM; `more`: lines of server.properties.

    `beside`: the node is a second broker of that one's cluster.
    """

    home: Path
    java: tuple[str, ...] = QUICK
    beside: Broker | None = None
    more: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.port, self.secure_port, self.strange_port, self._controller = free_ports(4)
        self._libs = libs()
        self.ca = self.home / "ca.pem"
        self.other_ca = self.home / "other-ca.pem"
        self._certificates()
        self._configure()

    def __enter__(self) -> Broker:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def address(self) -> str:
        return f"{HOST}:{self.port}"

    def dsn(self, **options: object) -> str:
        """The address of a journal on it, through the listener without a password."""
        query = "&".join(f"{name}={value}" for name, value in {"replication": 1, **options}.items())
        return f"kafka://{self.address}?{query}"

    def secure_dsn(
        self, user: str = USER, password: str = PASSWORD, *, port: int = 0, ca: Path | None = None, **options: object
    ) -> str:
        """The same through the listener with TLS and a password."""
        query = "&".join(f"{name}={value}" for name, value in {"replication": 1, "ca": ca or self.ca, **options}.items())
        return f"kafka+ssl://{user}:{quote(password, safe='')}@{HOST}:{port or self.secure_port}?{query}"

    def start(self) -> None:
        """Starts it, or starts it again on what a kill left. Returns when it answers."""
        with open(self.log, "ab") as log:
            logging = f"-Dlog4j2.configurationFile={POM.with_name('log4j2.properties')}"
            argv = ["java", *self.java, logging, "-cp", f"{self._libs}/*", "kafka.Kafka", str(self.home / "server.properties")]
            command = [sys.executable, "-I", "-S", str(END_WITH_PARENT), str(os.getpid()), *argv]  # it dies with the tests
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True, env=self._env())
        end = time.monotonic() + START_S
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the broker ended with {self.process.returncode}: {self.log_end()}")
            # "Kafka Server started" comes after the listeners are open and the metadata are loaded.
            if b"Kafka Server started" in self.log.read_bytes()[self._log_start :]:
                return
            time.sleep(0.05)
        raise RuntimeError(f"the broker is not up after {START_S:g} s: {self.log_end()}")

    def kill(self) -> None:
        """SIGKILL: no flush, no closing of connections."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
            self._log_start = self.log.stat().st_size

    def pause(self) -> None:
        """SIGSTOP: connections stay open and nothing answers."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    def log_end(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:]

    def _env(self) -> dict[str, str]:
        return {**os.environ, "LC_ALL": "C.UTF-8"}

    def _certificates(self) -> None:
        ca = trustme.CA()
        ca.cert_pem.write_to_path(self.ca)
        trustme.CA().cert_pem.write_to_path(self.other_ca)
        for name, host in (("right", HOST), ("strange", "kafka.example.org")):
            issued = ca.issue_cert(host)
            key = load_pem_private_key(issued.private_key_pem.bytes(), None)
            chain = [key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())]  # Java reads no other
            chain += [part.bytes() for part in issued.cert_chain_pems]
            (self.home / f"{name}.pem").write_bytes(b"".join(chain))

    def _configure(self) -> None:
        listeners = {"OPEN": self.port, "SECURE": self.secure_port, "STRANGE": self.strange_port, "CONTROLLER": self._controller}
        listeners = {name: f"{name}://{HOST}:{port}" for name, port in listeners.items()}
        if self.beside is not None:
            del listeners["CONTROLLER"]
        lines = [
            f"process.roles={'broker' if self.beside else 'broker,controller'}",
            f"node.id={2 if self.beside else 1}",
            f"controller.quorum.voters=1@{HOST}:{(self.beside or self)._controller}",
            f"listeners={','.join(listeners.values())}",
            f"advertised.listeners={','.join(value for name, value in listeners.items() if name != 'CONTROLLER')}",
            "controller.listener.names=CONTROLLER",
            "inter.broker.listener.name=OPEN",
            "listener.security.protocol.map=OPEN:PLAINTEXT,SECURE:SASL_SSL,STRANGE:SASL_SSL,CONTROLLER:PLAINTEXT",
            f"log.dirs={self.home / 'data'}",
            "offsets.topic.replication.factor=1",
            "transaction.state.log.replication.factor=1",
            "transaction.state.log.min.isr=1",
            "group.initial.rebalance.delay.ms=0",
            "auto.create.topics.enable=true",  # Kafka's own default: nothing of ours may make a topic by asking for it
            "num.partitions=7",
            "log.retention.check.interval.ms=1000",
            "broker.session.timeout.ms=2000",  # a killed broker is let in again so much later
            "broker.heartbeat.interval.ms=500",
            "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users=User:ANONYMOUS",
            "sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN",
            *self.more,
        ]
        login = "org.apache.kafka.common.security"
        for listener, certificate in (("secure", "right"), ("strange", "strange")):
            lines += [
                f"listener.name.{listener}.ssl.keystore.type=PEM",
                f"listener.name.{listener}.ssl.keystore.location={self.home / f'{certificate}.pem'}",
                f"listener.name.{listener}.scram-sha-512.sasl.jaas.config={login}.scram.ScramLoginModule required;",
                f"listener.name.{listener}.plain.sasl.jaas.config={login}.plain.PlainLoginModule required "
                f'user_{USER}="{PASSWORD}" user_{GUEST}="{GUEST_PASSWORD}";',
            ]
        (self.home / "server.properties").write_text("\n".join(lines) + "\n")
        self._log_start = 0
        fresh = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=").replace("-", "a")
        self.cluster: str = self.beside.cluster if self.beside else fresh
        scram = [
            argument
            for name, password in ((USER, PASSWORD), (GUEST, GUEST_PASSWORD))
            for argument in ("--add-scram", f'SCRAM-SHA-512=[name="{name}",password="{password}"]')
        ]
        if self.beside is not None:
            scram = []
        tool = ["java", *QUICK, "-cp", f"{self._libs}/*", "kafka.tools.StorageTool"]
        config = ["format", "-t", self.cluster, "-c", str(self.home / "server.properties"), *scram]
        done = subprocess.run([*tool, *config], capture_output=True, text=True, timeout=120, check=False, env=self._env())
        if done.returncode:
            raise RuntimeError(f"the broker's directory could not be made: {done.stdout}{done.stderr}"[-2000:])
