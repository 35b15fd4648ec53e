"""The tables, as they are at the newest migration (a test compares the two).

Times are UTC epoch milliseconds. A key that names nothing in a part has "" there, never NULL, so that it can be part of a
primary key.
"""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

Ms = sa.BigInteger
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")  # SQLite counts up only what it calls INTEGER


def _text(name: str, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default=default)


def _ms(name: str, default: str | None = None) -> sa.Column[int]:
    return sa.Column(name, Ms, nullable=False, server_default=default)


def _flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false())


def _key_columns() -> list[sa.Column[str]]:
    return [_text(name) for name in ("tenant", "account", "ingress_trunk", "a_number", "b_range")]


# --- who ---

tenants = sa.Table("tenants", METADATA, sa.Column("name", sa.Text, primary_key=True), _ms("at_ms"))

credentials = sa.Table(
    "credentials",
    METADATA,
    sa.Column("token_sha256", sa.Text, primary_key=True),
    _text("tenants"),  # JSON list: whose calls the switch may post
    _text("switch"),
    _text("sources"),  # JSON list of networks; empty = from anywhere
    _ms("at_ms"),
    sa.Column("revoked_at_ms", Ms),
)

# --- what it costs, and the version that names it ---

deck_versions = sa.Table(
    "deck_versions",
    METADATA,
    sa.Column("id", sa.Text, primary_key=True),  # SHA-256 over currency and content
    _text("currency"),
    sa.Column("content", sa.LargeBinary, nullable=False),  # the CSV in our spelling
    _text("who"),
    _ms("at_ms"),
)

config_parts = sa.Table(
    "config_parts",
    METADATA,
    sa.Column("hash", sa.Text, primary_key=True),  # SHA-256 of the content
    sa.Column("content", sa.LargeBinary, nullable=False),  # JSON, see core.parts
)

config_versions = sa.Table(
    "config_versions",
    METADATA,
    sa.Column("version", Serial, primary_key=True, autoincrement=False),
    _text("parts"),  # JSON list of (tenant, kind, bucket, hash of the part)
    _text("who"),
    _text("why"),
    _ms("at_ms"),
)

# --- what calls would have cost ---

rating_runs = sa.Table(  # never removed: a number that was given out is not given out again
    "rating_runs",
    METADATA,
    sa.Column("run", Serial, primary_key=True, autoincrement=False),
    _text("kind"),  # rerate | recycle
    _text("spec"),  # JSON of books.runs.Spec: which calls, and by which terms
    _text("who"),
    _text("why"),
    _ms("at_ms"),
    _text("state"),  # computed | counting | counts | void | withdrawn
    _text("state_who"),
    _text("state_why"),
    _ms("state_at_ms"),
    _text("found"),  # JSON of books.runs.Found: what the what-if came to
)

# --- switches ---

switches = sa.Table(
    "switches",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    _text("kind"),
    _text("control_url"),
    _text("control_token"),
    _ms("at_ms"),
)

switch_tenants = sa.Table(  # whose calls a switch carries, and whether it refuses for them or only says that it would
    "switch_tenants",
    METADATA,
    sa.Column("switch", sa.Text, sa.ForeignKey("switches.name"), primary_key=True),
    sa.Column("tenant", sa.Text, sa.ForeignKey("tenants.name"), primary_key=True),
    _flag("enforcing"),
)

holds = sa.Table(  # a person has turned our blocks off at this switch; nothing is delivered until a person clears it
    "holds",
    METADATA,
    sa.Column("switch", sa.Text, primary_key=True),
    _text("who"),
    _text("why"),
    _ms("at_ms"),
)

switch_states = sa.Table(  # what the dispatcher last saw
    "switch_states",
    METADATA,
    sa.Column("switch", sa.Text, primary_key=True),
    _text("boot", ""),
    _ms("seen_ms", "0"),
    _ms("compared_ms", "0"),
    _ms("missing", "0"),  # drift, counted since the beginning
    _ms("strangers", "0"),
    _text("error", ""),
)

leases = sa.Table(
    "leases",
    METADATA,
    sa.Column("name", sa.Text, primary_key=True),
    _text("holder"),
    _ms("fence"),  # rises with every new holder
    _ms("until_ms"),
)

# --- lists, orders, suppressions ---

lists = sa.Table(
    "lists",
    METADATA,
    sa.Column("list", sa.Text, primary_key=True),  # allow | deny | protected
    sa.Column("kind", sa.Text, primary_key=True),  # number | account | trunk
    sa.Column("tenant", sa.Text, primary_key=True),  # "" = every tenant
    sa.Column("value", sa.Text, primary_key=True),
    _text("why"),
    _text("who"),
    _ms("at_ms"),
)

alerts = sa.Table(
    "alerts",
    METADATA,
    sa.Column("finding_id", sa.Text, primary_key=True),
    _text("tenant"),
    _text("detector"),
    _text("subject_kind"),
    _text("subject"),
    _ms("detected_at_ms"),
    _ms("first_ms"),
    _ms("last_ms"),
    _ms("calls"),
    _ms("exposure_nanos"),
    _text("currency"),
    sa.Column("score", sa.Double, nullable=False),
    _text("reason"),
    _text("example_call_ids"),  # JSON list
    _text("key"),  # JSON of core.orders.Key, "" = none
    _ms("learned_ms"),
    _ms("opened_ms"),  # when the books first heard of it
    _ms("updated_ms"),
    sa.Column("facts", sa.Text, nullable=False, server_default=""),  # JSON of core.facts.Facts, "" = none
    sa.Index("ix_alerts_tenant", "tenant", "last_ms"),
)

block_orders = sa.Table(
    "block_orders",
    METADATA,
    sa.Column("order_id", sa.Text, primary_key=True),
    _text("finding_id"),
    *_key_columns(),
    _text("action"),
    _ms("created_at_ms"),
    _ms("learned_ms"),
    _ms("expires_at_ms"),
    _text("reason"),
    _text("by"),
    _flag("automatic"),
    _flag("opened_key"),  # no order of its key was live: what the limits count
    _text("status"),
    _text("status_why", ""),
    _ms("status_at_ms"),
    _text("decided_by", ""),
    _ms("received_at_ms"),
    _ms("facts_expire_at_ms"),  # as the order said; expires_at_ms may be earlier, or later where a person approved it
    sa.Index("ix_block_orders_status", "status", "expires_at_ms"),
    sa.Index("ix_block_orders_key", "tenant", "account", "ingress_trunk", "a_number", "b_range", "status"),
    sa.Index("ix_block_orders_received", "tenant", "received_at_ms"),
)

deliveries = sa.Table(  # one row per entry that a table of a switch should hold, or holds and should not
    "deliveries",
    METADATA,
    sa.Column("switch", sa.Text, primary_key=True),
    sa.Column("table_name", sa.Text, primary_key=True),  # as `books.deliveries.TABLES` names them
    sa.Column("name", sa.Text, primary_key=True),
    _text("value"),  # "" = to be removed
    _ms("until_ms"),  # 0 = until it is removed
    _flag("due"),  # the switch has not acknowledged this yet
    sa.Column("urgency", sa.Integer, nullable=False),  # the highest is sent first
    _ms("changed_ms"),
    sa.Column("delivered_at_ms", Ms),
    sa.Index("ix_deliveries_due", "switch", "due", "urgency", "changed_ms"),
    sa.Index("ix_deliveries_until", "switch", "until_ms"),
)

suppressions = sa.Table(
    "suppressions",
    METADATA,
    sa.Column("id", Serial, primary_key=True),
    *_key_columns(),
    _ms("until_ms"),
    _text("who"),
    _text("why"),
    _ms("at_ms"),
    sa.Index("ix_suppressions_until", "until_ms"),
)

# --- the record of it all ---

audit = sa.Table(  # append only: triggers refuse anything else
    "audit",
    METADATA,
    sa.Column("id", Serial, primary_key=True),
    _ms("at_ms"),
    _text("who"),
    _text("verb"),
    _text("subject"),
    _text("why"),
    sa.Index("ix_audit_at", "at_ms"),
)

progress = sa.Table(
    "progress",
    METADATA,
    sa.Column("reader", sa.Text, primary_key=True),
    sa.Column("topic", sa.Text, primary_key=True),
    sa.Column("partition", sa.Integer, primary_key=True),
    _ms("next_offset"),
)

counters = sa.Table(  # what was met and is in no other table: malformed messages, repeats
    "counters", METADATA, sa.Column("name", sa.Text, primary_key=True), _ms("value")
)
