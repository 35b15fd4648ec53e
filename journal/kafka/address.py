"""The address of a Kafka cluster, with its options for the topics there. Pure.

    kafka://HOST:PORT[,HOST:PORT...]                            no encryption; with user:password@ a SCRAM login
    kafka+ssl://[user:password@]HOST:PORT[,HOST:PORT...]        TLS; the password may be sent plain (mechanism=PLAIN), too

Options, after ?: prefix, replication, retention_ms, timeout_ms, mechanism, ca, cert, key.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote

from journal.protocol import JournalError

MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN")
OPTIONS = ("prefix", "replication", "retention_ms", "timeout_ms", "mechanism", "ca", "cert", "key")
SHAPE = (
    "kafka://HOST:PORT[,HOST:PORT...][?prefix=ringfence.&replication=3] or kafka+ssl://user:password@HOST:PORT[?ca=/path/ca.pem]"
)
_DSN = re.compile(r"(kafka(?:\+ssl)?)://(?:([^/?#]*)@)?([^/?#@]*)/?(?:\?(.*))?", re.DOTALL)
_BROKER = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,40}")


@dataclass(frozen=True)
class Address:
    """The brokers, our login, and the settings for new topics."""

    brokers: str
    tls: bool = False
    user: str = ""
    password: str = ""
    mechanism: str = "SCRAM-SHA-512"
    ca: str = ""
    cert: str = ""
    key: str = ""
    prefix: str = "ringfence."
    replication: int = 3
    retention_ms: int | None = None  # None: that of the limits; -1: for ever
    timeout_ms: int = 10_000

    def __repr__(self) -> str:
        return f"Address({str(self)!r})"

    def __str__(self) -> str:
        """For people: without the password.

        >>> str(parse("kafka+ssl://ann:secret@one:9093,two:9093?prefix=rf."))
        'kafka+ssl://ann@one:9093,two:9093'
        """
        return f"kafka{'+ssl' * self.tls}://{self.user + '@' if self.user else ''}{self.brokers}"

    @property
    def min_insync(self) -> int:
        """Replicas that an acknowledged record has.

        >>> [Address("h:1", replication=n).min_insync for n in (1, 2, 3, 5)]
        [1, 1, 2, 4]
        """
        return max(1, self.replication - 1)

    def client(self) -> dict[str, str]:
        """The settings of every client of the cluster (names of librdkafka)."""
        protocol = ("SASL_" if self.user else "") + ("SSL" if self.tls else "PLAINTEXT")
        config = {"bootstrap.servers": self.brokers, "security.protocol": protocol}
        if self.user:
            config |= {"sasl.mechanism": self.mechanism, "sasl.username": self.user, "sasl.password": self.password}
        files = {"ssl.ca.location": self.ca, "ssl.certificate.location": self.cert, "ssl.key.location": self.key}
        return config | {name: path for name, path in files.items() if path}


def parse(dsn: str) -> Address:
    """The address in a DSN. The `JournalError` for a malformed one never holds the password.

    >>> parse("kafka://a:9092,b:9092?replication=1&timeout_ms=3000").brokers
    'a:9092,b:9092'
    >>> parse("kafka://ann:secret@a")
    Traceback (most recent call last):
    ...
    journal.protocol.JournalError: kafka://ann@a is not a journal's address: 'a' is not HOST:PORT. Expected kafka://HOST:PORT[,HOST:PORT...][?prefix=ringfence.&replication=3]
    or kafka+ssl://user:password@HOST:PORT[?ca=/path/ca.pem]
    """
    if not (found := _DSN.fullmatch(dsn)):
        raise JournalError(
            f"{dsn.partition(':')[0]}:... is not a journal's address: it has another shape. In a password write / ? # @ as %2F %3F %23 %40. "
            f"Expected {SHAPE}"
        )
    scheme, login, brokers, query = found[1], found[2] or "", found[3], found[4] or ""
    user, _, password = (unquote(part) for part in login.partition(":"))
    try:
        return _address(scheme == "kafka+ssl", brokers, user, password, _options(query))
    except ValueError as error:
        shown = f"{scheme}://{user + '@' if user else ''}{brokers}"
        raise JournalError(f"{shown} is not a journal's address: {error}. Expected {SHAPE}") from None


def _address(tls: bool, brokers: str, user: str, password: str, options: dict[str, str]) -> Address:
    for broker in brokers.split(","):
        if not (found := _BROKER.fullmatch(broker)) or not 0 < int(found[2]) < 65536:
            raise ValueError(f"{broker!r} is not HOST:PORT")
    mechanism = options.get("mechanism", Address.mechanism)
    if bool(user) != bool(password):
        raise ValueError("a user needs a password, and a password a user")
    if "mechanism" in options and not user:
        raise ValueError("a mechanism needs user:password@")
    if mechanism not in MECHANISMS:
        raise ValueError(f"mechanism={mechanism} is none of {', '.join(MECHANISMS)}")
    if mechanism == "PLAIN" and not tls:
        raise ValueError("mechanism=PLAIN would send the password readable: it needs kafka+ssl://")
    files = {name: options.get(name, "") for name in ("ca", "cert", "key")}
    for name, path in files.items():
        if path and not tls:
            raise ValueError(f"{name} needs kafka+ssl://")
        if path and not Path(path).is_file():
            raise ValueError(f"{name}={path} is no file")
    if not _PREFIX.fullmatch(prefix := options.get("prefix", Address.prefix)):
        raise ValueError(f"prefix={prefix} has other characters than letters, digits, . _ -, or more than 40")
    return Address(
        brokers=brokers,
        tls=tls,
        user=user,
        password=password,
        mechanism=mechanism,
        **files,
        prefix=prefix,
        replication=_number(options, "replication", Address.replication, 1, 32),
        retention_ms=_number(options, "retention_ms", -1, -1, 2**53) if "retention_ms" in options else None,
        timeout_ms=_number(options, "timeout_ms", Address.timeout_ms, 1000, 300_000),
    )


def _options(query: str) -> dict[str, str]:
    options: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query)):
        if name not in OPTIONS:
            raise ValueError(f"there is no option {name} (there are {', '.join(OPTIONS)})")
        if name in options:
            raise ValueError(f"the option {name} appears twice")
        options[name] = value
    return options


def _number(options: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    """
    >>> _number({"replication": "x"}, "replication", 3, 1, 32)
    Traceback (most recent call last):
    ...
    ValueError: replication=x is not a whole number from 1 to 32
    """
    text = options.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,16}", text) or not least <= int(text) <= most:
        raise ValueError(f"{name}={text} is not a whole number from {least} to {most}")
    return int(text)
