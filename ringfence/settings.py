"""Every setting, and the only place that reads the environment (or a `.env` file). Others get values handed in.

`.env.example` is `example()`: each option with its sentence and its default.
"""

from __future__ import annotations

import ipaddress
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict, SettingsError

from core.topics import CALLS_PARTITIONS
from ringfence.ops import ports

if TYPE_CHECKING:
    from services.installation import Installation

PREFIX = "RINGFENCE_"
LOOPBACK = "127.0.0.1"
SECRETS_DIR = Path("/run/secrets")
"""Where containers find theirs."""

SECRETS = (
    "collector_token", "warehouse_token", "control_token", "hash_secret", "dialog_secret", "pages_look_token", "pages_act_token",
)  # fmt: skip
"""Settings that are made by the first start where nobody sets them."""


def _secret(description: str) -> Any:
    return Field("", pattern=r"^(\S{16,})?$", repr=False, description=f"{description} Empty: made at the first start, in home/state.")


class Settings(BaseSettings):
    """What an installation may choose. An empty address means: embedded, under `home`.

    >>> Settings(home=Path("/srv/rf")).journal_dsn
    'files:///srv/rf/journal'
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,  # nothing said: a secret file, or the default
        hide_input_in_errors=True,  # it may be an address with a password
        extra="ignore",
        frozen=True,
    )

    home: Path = Field(Path("var"), description="Where everything embedded lives: journal, warehouse, books, state, spool, run.")
    secrets_dir: str = Field(
        "",
        description="A directory of files that each hold one setting, named like its variable in lower case (ringfence_books): for "
        "addresses with passwords. The environment and .env go before. Empty: /run/secrets, where that exists.",
    )
    journal: str = Field(
        "",
        repr=False,
        description="The journal's address: files:///absolute/directory, kafka://HOST:PORT[,HOST:PORT...][?prefix=rf.&replication=3], or "
        "kafka+ssl://user:password@HOST:PORT?mechanism=SCRAM-SHA-512&ca=/path/ca.pem. Empty: files under home.",
    )
    warehouse: str = Field(
        "",
        repr=False,
        description="ClickHouse's address: chdb:///absolute/directory (embedded), http://user:password@host:8123, or "
        "https://user:password@host:8443[?ca_cert=/path/ca.pem]. Empty: embedded, under home.",
    )
    books: str = Field(
        "",
        repr=False,
        description="The books' address: sqlite:////absolute/file, or postgresql://user:password@host:5432/database"
        "[?sslmode=verify-full&sslrootcert=/path/ca.pem]. Empty: SQLite under home.",
    )

    host: str = Field(
        "127.0.0.1",
        description="The address that the collector listens on: loopback or a management network.",
    )
    trusted_proxies: str = Field(
        "",
        description="Proxies before the collector or the page, addresses or networks with commas: from them alone X-Forwarded-For says whom "
        "a request comes from, and X-Forwarded-Proto by what scheme. Empty: nobody is believed.",
    )
    collector_port: int = Field(8470, ge=0, le=65535, description="The collector's port; 0 takes a free one.")
    warehouse_port: int = Field(
        8471, ge=0, le=65535, description="The port on loopback for SELECT over ClickHouse's HTTP interface; 0 takes a free one."
    )
    control_port: int = Field(
        8472,
        ge=0,
        le=65535,
        description="The control port on loopback of a switch that `up` starts; 0 takes a free one.",
    )

    pages_host: str = Field(
        "127.0.0.1",
        description="The address that the page listens on. It speaks plain HTTP: for other machines put a proxy with TLS before it.",
    )
    pages_port: int = Field(8473, ge=0, le=65535, description="The page's port; 0 takes a free one.")
    pages_names: str = Field(
        "",
        description="Host names, with commas, under which a browser may reach the page besides loopback: those of the proxy before it.",
    )
    pages_parts: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="Where the page asks whether a part lives, with {part} and {port} in it: http://{part}:{port}. Empty: on this machine.",
    )

    metrics_host: str = Field(
        "127.0.0.1", description="The address on which each part serves its metrics, health and readiness, to whoever asks: nothing secret."
    )
    metrics_port: int = Field(
        8480,
        ge=0,
        le=65000,
        description="The first port for them; each part adds its number: collector 0, store 1, dispatcher 2, watch 3, pages 4, shipper 5, "
        "kamailio 6, simulator 7, judge 10 (judge-2: 11, ...). 0 takes free ones.",
    )

    sip_port: int = Field(5060, ge=1, le=65535, description="The SIP port of a Kamailio that `up` starts.")
    carrier: str = Field("127.0.0.1:5080", description="HOST:PORT of the next hop of a Kamailio that `up` starts.")
    switch_log: str = Field(
        "",
        description="The log of the switch whose spool is shipped: what a full disk kept out of the spool is a record there. "
        "Empty: that of a Kamailio that `up` starts.",
    )

    switch_spool: str = Field(
        "",
        description="Where a Kamailio that `up` starts writes its records, and the shipper reads them: best a disk of its own, so that a full "
        "home keeps none of them out. Empty: spool under home.",
    )
    refuse_unrecorded: bool = Field(
        False,
        description="true: a Kamailio that `up` starts lets no call in, but emergency calls, while its spool takes no records (they stand in "
        "its log alone). false: calls go on.",
    )

    tenant: str = Field("t1", pattern=r"^[A-Za-z0-9._@+-]{1,64}$", description="The tenant that a first start makes.")
    countries: str = Field(
        "*",
        description="ISO codes, with commas: a first start protects the emergency and crisis lines of these countries; * = all.",
    )

    partitions: int = Field(
        CALLS_PARTITIONS,
        ge=1,
        le=1023,
        description="How many partitions `calls` has: made so at the first start, and checked at every other. `ringfence repartition` "
        "changes it.",
    )
    judges: int = Field(
        1,
        ge=1,
        le=64,
        description="How many judge processes share the partitions, one a core. `ringfence repartition` changes it.",
    )

    snapshot_s: float = Field(
        10.0,
        gt=0,
        le=600,
        description="How often the flows take a snapshot of their state, in seconds. A crash replays what came since.",
    )
    linger_ms: int = Field(20, ge=0, le=1000, description="How long judge waits for more records before it works on a batch.")
    orders_a_minute: int = Field(30, ge=0, description="More automatic orders than this in a minute wait for a person.")
    order_subjects: int = Field(
        100, ge=0, description="More distinct callers than this under automatic blocks: the next orders wait for a person."
    )
    order_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Orders that would refuse more than this share of a tenant's last hour wait for a person.",
    )

    journal_days: float = Field(
        7.0,
        ge=0,
        le=36_500,
        description="The embedded journal keeps what all its readers have read for so many days; 0: for ever. What one of them has not read "
        "stays, however old. Kafka: the retention with which topics are made.",
    )
    journal_partition_gb: float = Field(
        0.0,
        ge=0,
        description="A bound on each partition of the embedded journal, in GB (and 64 MB more); 0: none. What is read goes, the oldest first, "
        "until it fits; RINGFENCE_JOURNAL_UNREAD says what happens with the rest.",
    )
    journal_unread: str = Field(
        "keep",
        pattern="^(keep|drop)$",
        description="What happens at that bound with records that judge has not read. keep: `calls` takes no more, and records wait in the "
        "collector's spool and at the switches. drop: the oldest go, and the gap is named.",
    )
    collector_spool_gb: float = Field(
        4.0, gt=0, description="A bound on the collector's spool, which fills while the journal takes nothing, in GB: then posts get 503."
    )
    switch_spool_hours: float = Field(
        24.0,
        ge=0,
        description="The shipper keeps delivered files of the switch's spool for so many hours, for a restore. What is not delivered stays.",
    )
    switch_spool_gb: float = Field(
        0.0, ge=0, description="Delivered files of the switch's spool that are more than this, in GB, go before their time; 0: no bound."
    )
    records_days: int = Field(
        400, ge=0, le=36_500, description="The warehouse keeps `records` (what became of each) and `attempts` for so many days; 0: for ever."
    )
    calls_days: int = Field(
        0, ge=0, le=36_500, description="The warehouse keeps `calls` and `charges` (the money of each call) for so many days; 0: for ever."
    )
    alerts_days: float = Field(400.0, ge=0, le=36_500, description="The books keep alerts for so many days; 0: for ever.")
    orders_days: float = Field(
        400.0,
        ge=0,
        le=36_500,
        description="The books keep block orders and suppressions for so many days after they are over; 0: for ever. The audit is removed by "
        "`ringfence retention apply --audit-days` alone.",
    )

    collector_token: str = _secret("With this a switch's shipper on this machine posts its records.")
    warehouse_token: str = _secret("The password of the embedded warehouse's SELECT.")
    control_token: str = _secret("The control port of a switch that `up` starts takes orders with this.")
    hash_secret: str = _secret("Keys the state of judge: it stays the same for the life of that state.")
    dialog_secret: str = _secret("Signs what a switch writes into calls under way: it stays the same over restarts.")

    pages_look_token: str = _secret("With this a person sees the page, its telephone numbers masked.")
    pages_act_token: str = _secret("With this a person acts on the page, and sees whole numbers.")

    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="How much the processes say in home/run/*.log."
    )
    log_format: str = Field(
        "text", pattern="^(text|json)$", description="How they say it: text, or json, an object a line, for a machine that gathers logs."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """In this order: what is given, the environment, `.env`, secret files."""
        return init_settings, env_settings, dotenv_settings, _SecretFiles(settings_cls)

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for one in proxies_in(value):
            ipaddress.ip_network(one)  # its ValueError names what is no network
        return value

    @property
    def proxies(self) -> tuple[str, ...]:
        """The trusted proxies.

        >>> Settings(trusted_proxies="10.0.0.1, 192.0.2.0/24").proxies
        ('10.0.0.1', '192.0.2.0/24')
        """
        return proxies_in(self.trusted_proxies)

    @property
    def given_secrets(self) -> dict[str, str]:
        """Those that somebody has set."""
        return {name: value for name in SECRETS if (value := getattr(self, name))}

    @property
    def collector_url(self) -> str:
        return f"http://{self.host}:{self.collector_port}"

    @property
    def warehouse_url(self) -> str:
        """Where the embedded warehouse answers SELECT."""
        return f"http://{LOOPBACK}:{self.warehouse_port}"

    @property
    def pages_url(self) -> str:
        """Where a browser on this machine finds the page."""
        return ports.url(self.pages_host, self.pages_port)

    def part_url(self, name: str) -> str:
        """Where a part answers whether it lives and does its work.

        >>> own, apart = Settings(metrics_port=8480), Settings(metrics_port=8480, pages_parts="http://{part}:{port}")
        >>> own.part_url("store"), apart.part_url("judge-2")
        ('http://127.0.0.1:8481', 'http://judge-2:8491')
        """
        port = ports.port(self.metrics_port, name)
        return self.pages_parts.format(part=name, port=port) if self.pages_parts else ports.url(self.metrics_host, port)

    @property
    def control_url(self) -> str:
        """Where a switch that `up` starts takes orders."""
        return f"http://{LOOPBACK}:{self.control_port}/RPC"

    @cached_property
    def root(self) -> Path:
        return self.home.absolute()

    @property
    def journal_dsn(self) -> str:
        return self.journal or f"files://{self.root / 'journal'}"

    @property
    def warehouse_dsn(self) -> str:
        return self.warehouse or f"chdb://{self.root / 'warehouse'}"

    @property
    def books_dsn(self) -> str:
        return self.books or f"sqlite:///{self.root / 'books.db'}"

    @property
    def state_dir(self) -> Path:
        """Snapshots of the flows, and our secrets."""
        return self.root / "state"

    @property
    def installation(self) -> Installation:
        """These settings as the services take them.

        >>> Settings(home=Path("/srv/rf"), judges=3).installation.judge_state(2)
        PosixPath('/srv/rf/state/judge-2-of-3.state')
        """
        from ringfence.ops.secrets import secrets_of
        from services.installation import Installation, Retention

        keep = {name: getattr(self, name) for name in Retention.__dataclass_fields__ if name != "drop_unread"}
        return Installation(
            root=self.root,
            journal_dsn=self.journal_dsn,
            warehouse_dsn=self.warehouse_dsn,
            books_dsn=self.books_dsn,
            spool_dir=self.spool_dir,
            warehouse_url=self.warehouse_url,
            warehouse_token=lambda: secrets_of(self).warehouse_token,
            partitions=self.partitions,
            judges=self.judges,
            tenant=self.tenant,
            countries=tuple(self.countries.split(",")),
            retention=Retention(drop_unread=self.journal_unread == "drop", **keep),
        )

    @property
    def judge_names(self) -> list[str]:
        """The judge processes by the names of their parts.

        >>> Settings(judges=2).judge_names, Settings().judge_names
        (['judge-1', 'judge-2'], ['judge'])
        """
        return ["judge"] if self.judges == 1 else [f"judge-{number}" for number in range(1, self.judges + 1)]

    @property
    def watch_state(self) -> Path:
        return self.state_dir / "watch.state"

    @property
    def spool_dir(self) -> Path:
        """Where a switch that `up` starts writes its records."""
        return Path(self.switch_spool).absolute() if self.switch_spool else self.root / "spool"

    @property
    def run_dir(self) -> Path:
        """Logs, and the addresses of what runs."""
        return self.root / "run"

    @property
    def pages_codes(self) -> Path:
        """The codes that open the page once."""
        return self.run_dir / "codes"

    @property
    def switch_log_file(self) -> Path:
        """Where the switch logs whose spool is shipped."""
        return Path(self.switch_log) if self.switch_log else self.run_dir / "kamailio" / "kamailio.log"

    def environment(self) -> dict[str, str]:
        """These settings as variables, for a child process.

        >>> Settings(home=Path("/srv/rf")).environment()["RINGFENCE_HOME"]
        '/srv/rf'
        """
        values = self.model_dump() | {"home": self.root}
        return {PREFIX + name.upper(): str(value) for name, value in values.items()}


def proxies_in(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.split(",") if one.strip())


class _SecretFiles(SecretsSettingsSource):
    """Files of the directory that the sources before have named."""

    def __call__(self) -> dict[str, Any]:
        named = str(self.current_state.get("secrets_dir") or "")
        directory = Path(named) if named else SECRETS_DIR
        if not directory.is_dir():
            if named:
                raise SettingsError(f"{PREFIX}SECRETS_DIR: there is no directory {directory}; make it, or name another")
            return {}
        self.secrets_dir = directory
        try:
            return super().__call__()
        except (OSError, SettingsError) as error:  # the second says which field, and what it is made of says why
            cause = error if isinstance(error, OSError) else error.__cause__
            place = getattr(cause, "filename", None) or directory
            reason = getattr(cause, "strerror", None) or f"{error}; its files are text"
            raise SettingsError(f"{PREFIX}SECRETS_DIR: {place} cannot be read: {reason}") from None


def inherited() -> dict[str, str]:
    """The environment that a child process starts from: ours."""
    return dict(os.environ)


def example() -> str:
    """The text of `.env.example`."""
    lines = [
        "# Settings of Ringfence. Copy to .env, or set them in the environment; what is set there wins.",
        "# Each line shows the default.",
    ]
    for name, field in Settings.model_fields.items():
        lines += ["", f"# {field.description}", f"# {PREFIX}{name.upper()}={field.default}"]
    return "\n".join(lines) + "\n"
