"""Every setting, and the only place that reads the environment (or a `.env` file). Others get values handed in.

`.env.example` is `example()`: each option with its sentence and its default.
"""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "RINGFENCE_"
LOOPBACK = "127.0.0.1"


class Settings(BaseSettings):
    """What an installation may choose. An empty address means: embedded, under `home`.

    >>> Settings(home=Path("/srv/rf")).journal_dsn
    'files:///srv/rf/journal'
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_file=".env", env_file_encoding="utf-8", extra="ignore", frozen=True)

    home: Path = Field(Path("var"), description="Where everything embedded lives: journal, warehouse, books, state, spool, run.")
    journal: str = Field("", description="The journal's address: files:///absolute/directory. Empty: under home.")
    warehouse: str = Field(
        "",
        description="ClickHouse's address: chdb:///absolute/directory or http(s)://user:password@host:port. Empty: embedded.",
    )
    books: str = Field("", description="The books' address: sqlite:////absolute/file. Empty: under home.")

    host: str = Field(
        "127.0.0.1",
        description="The address that the collector listens on: loopback or a management network.",
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

    sip_port: int = Field(5060, ge=1, le=65535, description="The SIP port of a Kamailio that `up` starts.")
    carrier: str = Field("127.0.0.1:5080", description="HOST:PORT of the next hop of a Kamailio that `up` starts.")
    switch_log: str = Field(
        "",
        description="The log of the switch whose spool is shipped: what a full disk kept out of the spool is a record there. "
        "Empty: that of a Kamailio that `up` starts.",
    )

    tenant: str = Field("t1", pattern=r"^[A-Za-z0-9._@+-]{1,64}$", description="The tenant that a first start makes.")
    countries: str = Field(
        "*",
        description="ISO codes, with commas: a first start protects the emergency and crisis lines of these countries; * = all.",
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

    log_level: str = Field(
        "info", pattern="^(debug|info|warning|error)$", description="How much the processes say in home/run/*.log."
    )

    @property
    def collector_url(self) -> str:
        return f"http://{self.host}:{self.collector_port}"

    @property
    def warehouse_url(self) -> str:
        """Where the embedded warehouse answers SELECT."""
        return f"http://{LOOPBACK}:{self.warehouse_port}"

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
    def spool_dir(self) -> Path:
        """Where a switch that `up` starts writes its records."""
        return self.root / "spool"

    @property
    def run_dir(self) -> Path:
        """Logs, and the addresses of what runs."""
        return self.root / "run"

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
