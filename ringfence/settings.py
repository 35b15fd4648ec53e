"""All settings; the only module that reads the environment or a `.env` file.

`.env.example` is the text of `example()`: each setting with its description and its default.
"""

from __future__ import annotations

import ipaddress
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SecretsSettingsSource, SettingsConfigDict, SettingsError

from core.address import host_and_port
from core.topics import CALLS_PARTITIONS
from ringfence.ops import ports

if TYPE_CHECKING:
    from services.installation import Installation

PREFIX = "RINGFENCE_"
LOOPBACK = "127.0.0.1"
SECRETS_DIR = Path("/run/secrets")
"""The default of RINGFENCE_SECRETS_DIR: where container engines mount secrets."""

SECRETS = (
    "collector_token", "warehouse_token", "control_token", "hash_secret", "dialog_secret", "pages_look_token", "pages_act_token",
)  # fmt: skip
"""Settings that the first start generates if they are not set."""


def _secret(description: str) -> Any:
    return Field("", pattern=r"^(\S{16,})?$", repr=False, description=f"{description} Empty: generated at the first start, in home/state.")


class Settings(BaseSettings):
    """The settings of an installation. An empty address means: embedded, under `home`.

    >>> Settings(home=Path("/srv/rf")).journal_dsn
    'files:///srv/rf/journal'
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        env_file_encoding="utf-8",
        env_ignore_empty=True,  # an empty variable: a secret file, or the default
        hide_input_in_errors=True,  # the value may be an address with a password
        extra="ignore",
        frozen=True,
    )

    home: Path = Field(Path("var"), description="The directory of all embedded storage: journal, warehouse, books, state, spool, run.")
    secrets_dir: str = Field(
        "",
        description="A directory with one file per setting, named like its variable in lower case (ringfence_books): for addresses with "
        "passwords. The environment and .env take precedence. Empty: /run/secrets, if it exists.",
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
        description="The address on which the collector listens: loopback or a management network.",
    )
    trusted_proxies: str = Field(
        "",
        description="Proxies in front of the collector or the page: addresses or networks, separated by commas. X-Forwarded-For and "
        "X-Forwarded-Proto are believed from these alone. Empty: from nobody.",
    )
    collector_port: int = Field(8470, ge=0, le=65535, description="The collector's port; 0: a free one.")
    warehouse_port: int = Field(
        8471, ge=0, le=65535, description="The port on loopback for SELECT over ClickHouse's HTTP interface; 0: a free one."
    )
    control_port: int = Field(
        8472,
        ge=0,
        le=65535,
        description="The control port on loopback of a switch that `up` starts; 0: a free one.",
    )

    pages_host: str = Field(
        "127.0.0.1",
        description="The address on which the page listens, with plain HTTP: for other machines put a proxy with TLS in front of it.",
    )
    api_port: int = Field(8475, ge=0, le=65535, description="The port of `flow api`, which switches ask for routes; 0: a free one.")
    redirect_port: int = Field(5070, ge=0, le=65535, description="The UDP port of `flow redirect`, which answers SIP calls with their routes.")
    ask: str = Field("", description="HOST:PORT of the `flow redirect` that a Kamailio of `up` asks about numbers that may have been ported.")
    redirect_switches: str = Field(
        "127.0.0.0/8",
        description="Networks, separated by commas, whose X-Ringfence-Account the redirect believes: those of your own switches.",
    )
    pages_port: int = Field(8473, ge=0, le=65535, description="The page's port; 0: a free one.")
    pages_names: str = Field(
        "",
        description="Host names, separated by commas, under which a browser may reach the page besides loopback: those of the proxy.",
    )
    pages_parts: str = Field(
        "",
        pattern=r"^(https?://[^\s]+)?$",
        description="The URL at which the page checks whether a part is alive, with {part} and {port}: http://{part}:{port}. Empty: on this "
        "machine.",
    )

    metrics_host: str = Field(
        "127.0.0.1", description="The address on which each part serves its metrics, health and readiness, without a password: nothing secret."
    )
    metrics_port: int = Field(
        8480,
        ge=0,
        le=65000,
        description="The first port for metrics; each part adds its number: collector 0, store 1, dispatcher 2, watch 3, pages 4, shipper 5, "
        "kamailio 6, simulator 7, router 8, api 9, redirect 90, notify 91, poster 92, judge 10 (judge-2: 11, ...). 0: free ones.",
    )

    sip_port: int = Field(5060, ge=1, le=65535, description="The SIP port of a Kamailio that `up` starts.")
    carrier: str = Field("127.0.0.1:5080", description="HOST:PORT of the next hop of a Kamailio that `up` starts.")
    switch_log: str = Field(
        "",
        description="The log of the switch whose spool is shipped: it has the records that a full disk kept out of the spool. Empty: the log of "
        "the Kamailio that `up` starts.",
    )

    switch_spool: str = Field(
        "",
        description="The directory in which a Kamailio that `up` starts writes its records and from which the shipper reads them: best on a disk "
        "of its own, so that a full home does not stop them. Empty: spool under home.",
    )
    refuse_unrecorded: bool = Field(
        False,
        description="true: a Kamailio that `up` starts refuses all calls but emergency calls while it cannot write to its spool (records are then "
        "in its log alone). false: calls go on.",
    )

    tenant: str = Field("t1", pattern=r"^[A-Za-z0-9._@+-]{1,64}$", description="The tenant that the first start creates.")
    countries: str = Field(
        "*",
        description="ISO codes, separated by commas: the first start protects the emergency and crisis lines of these countries; * = all.",
    )

    partitions: int = Field(
        CALLS_PARTITIONS,
        ge=1,
        le=1023,
        description="Number of partitions of `calls`: set at the first start, checked at every other one. `ringfence repartition` changes it.",
    )
    judges: int = Field(
        1,
        ge=1,
        le=64,
        description="Number of judge processes that share the partitions, one per core. `ringfence repartition` changes it.",
    )

    snapshot_s: float = Field(
        10.0,
        gt=0,
        le=600,
        description="Interval of the snapshots of the flows' state, in seconds. After a crash the records since the last one are read again.",
    )
    linger_ms: int = Field(20, ge=0, le=1000, description="How long judge waits for more records before it processes a batch.")
    orders_per_minute: int = Field(30, ge=0, description="Automatic orders beyond this number per minute wait for a person.")
    order_subjects: int = Field(
        100, ge=0, description="While more distinct callers than this are under automatic blocks, further orders wait for a person."
    )
    order_share: float = Field(
        0.3,
        ge=0,
        le=1,
        description="Orders that would refuse more than this share of a tenant's last hour wait for a person.",
    )

    post_s: float = Field(
        60.0, gt=0, le=86_400, description="Interval in seconds at which the poster moves the charges that are stored into the ledger."
    )

    journal_days: float = Field(
        7.0,
        ge=0,
        le=36_500,
        description="Days for which the embedded journal keeps records that all its readers have read; 0: for ever. Unread records stay, "
        "however old. Kafka: the retention with which topics are created.",
    )
    journal_partition_gb: float = Field(
        0.0,
        ge=0,
        description="Maximum size of each partition of the embedded journal, in GB (and 64 MB more); 0: none. Read records are removed, oldest "
        "first, until it fits; RINGFENCE_JOURNAL_UNREAD decides about the others.",
    )
    journal_unread: str = Field(
        "keep",
        pattern="^(keep|drop)$",
        description="What happens at that size with records that judge has not read. keep: `calls` takes no more, and records wait in the "
        "collector's spool and at the switches. drop: the oldest are removed, and the gap is reported.",
    )
    collector_spool_gb: float = Field(
        4.0, gt=0, description="Maximum size in GB of the collector's spool, which fills while the journal is unavailable: then posts get 503."
    )
    switch_spool_hours: float = Field(
        24.0,
        ge=0,
        description="Hours for which the shipper keeps delivered files of the switch's spool, for a restore. Undelivered files stay.",
    )
    switch_spool_gb: float = Field(
        0.0, ge=0, description="Maximum size in GB of these delivered files: beyond it the oldest are removed early; 0: no limit."
    )
    records_days: int = Field(
        400, ge=0, le=36_500, description="Days for which the warehouse keeps `records` (with their dispositions) and `attempts`; 0: for ever."
    )
    calls_days: int = Field(
        0, ge=0, le=36_500, description="Days for which the warehouse keeps `calls` and `charges` (the money of each call); 0: for ever."
    )
    alerts_days: float = Field(400.0, ge=0, le=36_500, description="Days for which the books keep alerts; 0: for ever.")
    orders_days: float = Field(
        400.0,
        ge=0,
        le=36_500,
        description="Days for which the books keep block orders and suppressions after their end; 0: for ever. Only `ringfence retention "
        "apply --audit-days` removes lines of the audit log.",
    )

    collector_token: str = _secret("The token with which the shipper on this machine posts records.")
    warehouse_token: str = _secret("The password for SELECT on the embedded warehouse.")
    control_token: str = _secret("The token for the control port of a switch that `up` starts.")
    hash_secret: str = _secret("The key of the hashes in judge's state: it must not change while that state exists.")
    dialog_secret: str = _secret("The key that signs what a switch writes into active calls: it must not change at a restart.")

    pages_look_token: str = _secret("The token to see the page, with telephone numbers masked.")
    pages_act_token: str = _secret("The token to act on the page, and to see whole numbers.")

    pages_oidc_issuer: str = Field(
        "", pattern=r"^(https://[^\s]+|http://(127\.0\.0\.1|localhost)(:\d+)?(/[^\s]*)?)?$",
        description="The OpenID provider that signs people in to the pages, as it calls itself: https://login.example.net. Empty: passwords alone.",
    )  # fmt: skip
    pages_oidc_client_id: str = Field("", description="What the pages are called at the OpenID provider.")
    pages_oidc_client_secret: str = Field("", repr=False, description="The secret of the pages at the OpenID provider.")
    pages_oidc_claim: str = Field("email", pattern="^[a-z_]+$", description="The claim that names a user; email must be a verified one.")
    pages_oidc_label: str = Field("your company's sign-in", description="The OpenID provider's name on the form.")

    smtp_url: str = Field("", repr=False, description="The server that mails invoices and notifications: smtp://user:password@host:587, or smtps://.")
    mail_from: str = Field("", description="The address that invoices and notifications are mailed from.")
    pages_link: str = Field("", pattern=r"^(https?://[^\s]+)?$", description="The page's address for people, which notifications link to.")
    silent_minutes: float = Field(
        60.0, ge=0, description="After so many minutes without a record of any call somebody is notified; 0: never. Parts, ticks, switches: always."
    )

    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="The lowest level that is logged in home/run/*.log.")
    log_format: str = Field(
        "text", pattern="^(text|json)$", description="The format of the logs: text, or json with one object per line, for log collectors."
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
        """In this order: arguments, the environment, `.env`, secret files."""
        return init_settings, env_settings, dotenv_settings, _SecretFiles(settings_cls)

    @field_validator("trusted_proxies")
    @classmethod
    def _are_networks(cls, value: str) -> str:
        for one in proxies_in(value):
            ipaddress.ip_network(one)  # its ValueError names what is no network
        return value

    @field_validator("carrier", "ask")
    @classmethod
    def _is_host_and_port(cls, value: str) -> str:
        if value:
            host_and_port(value)
        return value

    @property
    def proxies(self) -> tuple[str, ...]:
        """The trusted proxies.

        >>> Settings(trusted_proxies="10.0.0.1, 192.0.2.0/24").proxies
        ('10.0.0.1', '192.0.2.0/24')
        """
        return proxies_in(self.trusted_proxies)

    @property
    def configured_secrets(self) -> dict[str, str]:
        """The secrets that are set."""
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
        """The page's URL for a browser on this machine."""
        return ports.url(self.pages_host, self.pages_port)

    def part_url(self, name: str) -> str:
        """The URL of a part's health, readiness and metrics.

        >>> own, apart = Settings(metrics_port=8480), Settings(metrics_port=8480, pages_parts="http://{part}:{port}")
        >>> own.part_url("store"), apart.part_url("judge-2")
        ('http://127.0.0.1:8481', 'http://judge-2:8491')
        """
        port = ports.port(self.metrics_port, name)
        return self.pages_parts.format(part=name, port=port) if self.pages_parts else ports.url(self.metrics_host, port)

    @property
    def control_url(self) -> str:
        """The control port of a switch that `up` starts."""
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
        """Snapshots of the flows, and generated secrets."""
        return self.root / "state"

    @property
    def installation(self) -> Installation:
        """These settings in the form that services use.

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
        """The part names of the judge processes.

        >>> Settings(judges=2).judge_names, Settings().judge_names
        (['judge-1', 'judge-2'], ['judge'])
        """
        return ["judge"] if self.judges == 1 else [f"judge-{number}" for number in range(1, self.judges + 1)]

    @property
    def watch_state(self) -> Path:
        return self.state_dir / "watch.state"

    @property
    def scores_state(self) -> Path:
        return self.state_dir / "scores.state"

    @property
    def spool_dir(self) -> Path:
        """The directory in which a switch that `up` starts writes its records."""
        return Path(self.switch_spool).absolute() if self.switch_spool else self.root / "spool"

    @property
    def run_dir(self) -> Path:
        """Logs, and the addresses of running parts."""
        return self.root / "run"

    @property
    def pages_codes(self) -> Path:
        """The one-time codes that open the page."""
        return self.run_dir / "codes"

    @property
    def switch_log_file(self) -> Path:
        """The log of the switch whose spool is shipped."""
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
    """Files of the directory that RINGFENCE_SECRETS_DIR names in the sources before this one."""

    def __call__(self) -> dict[str, Any]:
        configured = str(self.current_state.get("secrets_dir") or "")
        directory = Path(configured) if configured else SECRETS_DIR
        if not directory.is_dir():
            if configured:
                raise SettingsError(f"{PREFIX}SECRETS_DIR: there is no directory {directory}; create it, or name another")
            return {}
        self.secrets_dir = directory
        try:
            return super().__call__()
        except (OSError, SettingsError) as error:  # a SettingsError names the field, its cause the reason
            cause = error if isinstance(error, OSError) else error.__cause__
            path = getattr(cause, "filename", None) or directory
            reason = getattr(cause, "strerror", None) or f"{error}; its files must be text"
            raise SettingsError(f"{PREFIX}SECRETS_DIR: {path} cannot be read: {reason}") from None


def inherited() -> dict[str, str]:
    """The environment of this process, for its child processes."""
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
