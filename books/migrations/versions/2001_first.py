"""The first tables of release 0.2. Its revisions begin at 2001: those of 0.1 were 0001 to 0004, and are refused."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "2001"
down_revision = None
branch_labels = None
depends_on = None



def _append_only(table: str, what: str) -> dict[str, list[str]]:
    """Triggers that refuse every change of a row that stands."""
    return {
        "sqlite": [
            f"CREATE TRIGGER {table}_no_{verb.lower()} BEFORE {verb} ON {table} BEGIN SELECT RAISE(ABORT, '{what} is append only'); END"
            for verb in ("UPDATE", "DELETE")
        ],
        "postgresql": [
            f"CREATE FUNCTION {table}_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{what} is append only'; END $$",
            f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} EXECUTE FUNCTION {table}_is_append_only()",
        ],
    }


APPEND_ONLY = (
    _append_only("audit", "the audit"), _append_only("ledger_transfers", "the ledger"), _append_only("ledger_entries", "the ledger"),
    _append_only("posting_batches", "the ledger"), _append_only("payments", "the list of payments"),
    _append_only("dispute_events", "the history of a dispute"), _append_only("case_events", "the timeline of a case"),
    _append_only("allocations", "the list of allocations"),
    {
        "sqlite": [
            f"CREATE TRIGGER invoices_no_{verb.lower()} BEFORE {verb} ON invoices WHEN OLD.status = 'issued' "
            "BEGIN SELECT RAISE(ABORT, 'an issued invoice is never changed'); END"
            for verb in ("UPDATE", "DELETE")
        ],
        "postgresql": [
            "CREATE FUNCTION issued_invoice_is_final() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION 'an issued invoice is never changed'; END $$",
            "CREATE TRIGGER invoices_final BEFORE UPDATE OR DELETE ON invoices FOR EACH ROW WHEN (OLD.status = 'issued') "
            "EXECUTE FUNCTION issued_invoice_is_final()",
        ],
    },
)  # fmt: skip
KEY = ("tenant", "account", "ingress_trunk", "a_number", "b_range")
SERIAL = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    _create(
        "alerts", ["finding_id"], *_text("finding_id", "tenant", "detector", "subject_kind", "subject"),
        *_int64("detected_at_ms", "first_ms", "last_ms", "calls", "exposure_nanos"), *_text("currency"),
        sa.Column("score", sa.Double(), nullable=False), *_text("reason", "example_call_ids", "key"),
        *_int64("learned_ms", "opened_ms", "updated_ms"), *_text("facts", default=""),
    )  # fmt: skip
    op.create_index("ix_alerts_tenant", "alerts", ["tenant", "last_ms"])
    op.create_index("ix_alerts_opened", "alerts", ["opened_ms"])
    _create(
        "notify_targets", ["name"], *_text("name", "kind", "address", "secret", "tenant", "least"), *_int64("after_ms"),
        *_text("hours", "days", "time_zone", "always"), *_flag("whole_numbers"), *_text("who"), *_int64("at_ms"),
    )  # fmt: skip
    _create(
        "notices", ["id"], *_text("id", "target", "about", "tenant", "severity", "title", "text"), *_flag("escalated"),
        *_int64("event_ms", "next_ms"), *_text("state"), *_int64("attempts"), *_text("error"), *_int64("changed_ms"),
    )  # fmt: skip
    op.create_index("ix_notices_due", "notices", ["state", "next_ms"])
    op.create_index("ix_notices_event", "notices", ["event_ms"])
    op.create_index("ix_notices_changed", "notices", ["changed_ms"])
    _create("alert_takes", ["finding_id"], *_text("finding_id", "who"), *_int64("at_ms"))
    _create("audit", ["id"], sa.Column("id", SERIAL, nullable=False), *_int64("at_ms"), *_text("who", "verb", "subject", "why", "previous", "sha256"))
    op.create_index("ix_audit_at", "audit", ["at_ms"])
    _create(
        "block_orders", ["order_id"], *_text("order_id", "finding_id", *KEY, "action"), *_int64("created_at_ms", "learned_ms", "expires_at_ms"),
        *_text("reason", "by"), *_flag("automatic", "opened_key"), *_text("status"), *_text("status_why", default=""),
        *_int64("status_at_ms"), *_text("decided_by", default=""), *_int64("received_at_ms", "facts_expire_at_ms"),
        *_int64("calls_a_minute", default="0"), *_flag("cut"),
    )  # fmt: skip
    op.create_index("ix_block_orders_key", "block_orders", [*KEY, "status"])
    op.create_index("ix_block_orders_received", "block_orders", ["tenant", "received_at_ms"])
    op.create_index("ix_block_orders_status", "block_orders", ["status", "expires_at_ms"])
    _create("cases", ["id"], *_text("id", "tenant", "title", "state", "who"), *_int64("at_ms"))
    op.create_index("ix_cases_tenant", "cases", ["tenant", "state", "at_ms"])
    _create("case_alerts", ["finding_id"], *_text("finding_id", "case_id"))
    op.create_index("ix_case_alerts_case", "case_alerts", ["case_id"])
    event = sa.Column("id", SERIAL, nullable=False)
    _create("case_events", ["id"], event, *_text("case_id", "event", "text", "who"), *_int64("at_ms"))
    op.create_index("ix_case_events_case", "case_events", ["case_id", "id"])
    _create("config_parts", ["hash"], *_text("hash"), sa.Column("content", sa.LargeBinary(), nullable=False))
    version = sa.Column("version", SERIAL, autoincrement=False, nullable=False)
    _create("config_versions", ["version"], version, *_text("parts", "who", "why"), *_int64("at_ms"))
    _create("counters", ["name"], *_text("name"), *_int64("value"))
    _create(
        "deck_activations", ["id"], sa.Column("id", SERIAL, nullable=False), *_text("tenant", "carrier", "deck"), *_int64("from_at_ms"),
        *_text("plan_before", "plan_after"), *_int64("config_version"), *_text("who", "why"), *_int64("at_ms"),
        *_int64("rolled_back_at_ms", default="0"),
    )  # fmt: skip
    op.create_index("ix_deck_activations_carrier", "deck_activations", ["tenant", "carrier", "id"])
    number = sa.Column("number", sa.Integer(), autoincrement=False, nullable=False)
    _create(
        "deck_imports", ["tenant", "carrier", "number"], *_text("tenant", "carrier"), number,
        *_text("deck_id", "base", "base_id", "file_name", "file_sha256", "facts", "findings", "who"), *_int64("at_ms"),
    )  # fmt: skip
    _create("deck_profiles", ["tenant", "carrier"], *_text("tenant", "carrier", "profile", "who"), *_int64("at_ms"))
    content = sa.Column("content", sa.LargeBinary(), nullable=False)
    _create("deck_versions", ["id"], *_text("id", "currency"), content, *_text("who"), *_int64("at_ms"))
    _create(
        "deliveries", ["switch", "table_name", "name"], *_text("switch", "table_name", "name", "value"), *_int64("until_ms"), *_flag("due"),
        sa.Column("urgency", sa.Integer(), nullable=False), *_int64("changed_ms"), sa.Column("delivered_at_ms", sa.BigInteger()),
    )  # fmt: skip
    op.create_index("ix_deliveries_due", "deliveries", ["switch", "due", "urgency", "changed_ms"])
    op.create_index("ix_deliveries_until", "deliveries", ["switch", "until_ms"])
    _create("holds", ["switch"], *_text("switch", "who", "why"), *_int64("at_ms"))
    _create("leases", ["name"], *_text("name", "holder"), *_int64("fence", "until_ms"))
    _create(
        "lists", ["list", "kind", "tenant", "value", "account"], *_text("list", "kind", "tenant", "value", "why", "who"), *_int64("at_ms"),
        *_text("account"), *_int64("until_ms", default="0"),
    )  # fmt: skip
    partition = sa.Column("partition", sa.Integer(), nullable=False)
    _create("progress", ["reader", "topic", "partition"], *_text("reader", "topic"), partition, *_int64("next_offset"))
    suppression = sa.Column("id", SERIAL, nullable=False)
    _create("suppressions", ["id"], suppression, *_text(*KEY), *_int64("until_ms"), *_text("who", "why"), *_int64("at_ms"))
    op.create_index("ix_suppressions_until", "suppressions", ["until_ms"])
    _create(
        "verdicts", ["finding_id"], *_text("finding_id", "tenant", "detector", "subject_kind", "subject", "verdict", "who", "why"),
        *_int64("at_ms", "alerted_ms"), *_text("spread_from", "facts"),
    )  # fmt: skip
    op.create_index("ix_verdicts_tenant", "verdicts", ["tenant", "at_ms"])
    _create(
        "quiet_subjects", ["tenant", "detector", "subject_kind", "subject"],
        *_text("tenant", "detector", "subject_kind", "subject", "finding_id"), *_int64("until_ms"), *_text("who", "why"), *_int64("at_ms"),
    )  # fmt: skip
    _create(
        "route_tests", ["tenant", "test_id"], *_text("tenant", "test_id"), *_int64("at_ms"), *_text("carrier", "a_number", "b_number"),
        sa.Column("cli", sa.Text()), *[sa.Column(name, sa.Boolean()) for name in ("answered", "line_rang", "line_answered", "ringback")],
        *[sa.Column(name, sa.BigInteger()) for name in ("hung_up_ms", "ended_ms")],
    )  # fmt: skip
    op.create_index("ix_route_tests_at", "route_tests", ["tenant", "at_ms"])
    content = sa.Column("content", sa.LargeBinary(), nullable=False)
    _create("models", ["sha256"], *_text("sha256", "name"), content, *_text("who", "why"), *_int64("at_ms"))
    _create(
        "rule_changes", ["id"], sa.Column("id", SERIAL, nullable=False), *_text("tenant", "changes", "why", "who"), *_int64("at_ms"),
        *_text("state", "state_why", "state_who"), *_int64("state_at_ms"), *_int64("shadow_from_ms", default="0"),
        *_text("tried", "shadowed", default=""),
    )  # fmt: skip
    op.create_index("ix_rule_changes_tenant", "rule_changes", ["tenant", "id"])
    run = sa.Column("run", SERIAL, autoincrement=False, nullable=False)
    _create(
        "rating_runs", ["run"], run, *_text("kind", "spec", "who", "why"), *_int64("at_ms"), *_text("state", "state_who", "state_why"),
        *_int64("state_at_ms"), *_text("found"),
    )  # fmt: skip
    counts = _int64("seen_ms", "compared_ms", "missing", "strangers", default="0")
    _create("switch_states", ["switch"], *_text("switch"), *_text("boot", default=""), *counts, *_text("error", default=""))
    _create("switches", ["name"], *_text("name", "kind", "control_url", "control_token"), *_int64("at_ms"))
    _create("tenants", ["name"], *_text("name"), *_int64("at_ms"))
    disabled = sa.Column("disabled_at_ms", sa.BigInteger())
    _create("users", ["name"], *_text("name", "password_hash"), *_int64("at_ms", "sessions_from_ms"), disabled)
    _create("user_parties", ["name", "tenant", "party"], *_text("name", "tenant", "party"))
    _create("user_roles", ["name", "tenant", "role"], *_text("name", "tenant", "role"))
    revoked = sa.Column("revoked_at_ms", sa.BigInteger())
    _create(
        "credentials", ["token_sha256"], *_text("token_sha256", "tenants", "switch", "sources"), *_int64("at_ms"), revoked,
        *_text("scopes", default='["records","route"]'), sa.Column("expires_at_ms", sa.BigInteger()),
    )  # fmt: skip
    _create(
        "switch_tenants", ["switch", "tenant"], *_text("switch", "tenant"), *_flag("enforcing"),
        sa.ForeignKeyConstraint(["switch"], ["switches.name"], name=op.f("fk_switch_tenants_switch")),
        sa.ForeignKeyConstraint(["tenant"], ["tenants.name"], name=op.f("fk_switch_tenants_tenant")),
    )  # fmt: skip
    _money()
    _assurance()
    for triggers in APPEND_ONLY:
        for statement in triggers.get(op.get_context().dialect.name, []):
            op.execute(statement)


def _assurance() -> None:
    """Reconciliations, disputes and the results of controls."""
    _create("party_files", ["tenant", "role", "party"], *_text("tenant", "role", "party", "profile", "who"), *_int64("at_ms"))
    _create(
        "picked_files", ["tenant", "source", "name", "sha256", "modified_ms"], *_text("tenant", "source", "name", "sha256"),
        *_int64("modified_ms", "size_bytes", "number"), *_text("path"), *_int64("every_ms", "least_bytes", "at_ms"),
    )  # fmt: skip
    _create(
        "reconciliations", ["id"], *_text("id", "tenant", "role", "party"), *_int64("from_ms", "to_ms"),
        *_text("invoice_no", "invoice_sha256", "cdrs_sha256", "currency", "theirs", "ours", "summary"),
        sa.Column("calls", sa.LargeBinary(), nullable=False), *_text("who"), *_int64("at_ms"),
    )  # fmt: skip
    op.create_index("ix_reconciliations_party", "reconciliations", ["tenant", "role", "party", "from_ms"])
    _create(
        "disputes", ["id"], *_text("id", "tenant", "role", "party", "reconciliation", "cause", "state", "currency", "amount"),
        *_text("agreed", "credit_note", default=""), *_int64("calls"), *_int64("due_ms", default="0"), *_int64("at_ms"),
    )  # fmt: skip
    op.create_index("ix_disputes_state", "disputes", ["tenant", "state", "due_ms"])
    _create(
        "dispute_events", ["id"], sa.Column("id", SERIAL, nullable=False), *_text("dispute", "event", "state", "amount", "who", "why"),
        *_int64("at_ms"),
    )  # fmt: skip
    op.create_index("ix_dispute_events_dispute", "dispute_events", ["dispute", "id"])
    _create(
        "control_results", ["id"], sa.Column("id", SERIAL, nullable=False), *_text("tenant", "control", "period", "status"),
        *_int64("checked", "count"), *_text("money", "result"), *_int64("at_ms"),
    )  # fmt: skip
    op.create_index("ix_control_results_period", "control_results", ["tenant", "period", "control", "id"])


def _money() -> None:
    """The ledger, and what is posted to it."""
    _create("ledger_accounts", ["id"], *_text("id", "tenant", "kind", "party", "agreement", "currency"), *_int64("at_ms"))
    op.create_index("ix_ledger_accounts_party", "ledger_accounts", ["tenant", "party"])
    _create(
        "ledger_transfers", ["id"], *_text("id", "tenant", "kind", "reference", "source", "target", "currency"),
        *_int64("units", "nanos", "at_ms"),
    )  # fmt: skip
    op.create_index("ix_ledger_transfers_reference", "ledger_transfers", ["tenant", "kind", "reference"])
    _create(
        "ledger_entries", ["account", "number"], *_text("account"), sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        *_text("transfer"), *_int64("units", "nanos", "balance_units", "balance_nanos"),
        sa.ForeignKeyConstraint(["account"], ["ledger_accounts.id"], name=op.f("fk_ledger_entries_account")),
        sa.ForeignKeyConstraint(["transfer"], ["ledger_transfers.id"], name=op.f("fk_ledger_entries_transfer")),
    )  # fmt: skip
    op.create_index("ix_ledger_entries_transfer", "ledger_entries", ["transfer"])
    _create(
        "ledger_balances", ["account"], *_text("account"), *_int64("number", "units", "nanos"),
        sa.ForeignKeyConstraint(["account"], ["ledger_accounts.id"], name=op.f("fk_ledger_balances_account")),
    )  # fmt: skip
    batch = sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False)
    _create("posting_batches", ["number"], batch, *_text("posted"), *_int64("charges", "at_ms"))
    _create(
        "invoice_runs", ["id"], *_text("id", "tenant", "until_day"), *_int64("batch"), *_text("state"), *_int64("due", "made"),
        *_text("findings", "who"), *_int64("at_ms"),
    )  # fmt: skip
    _create(
        "invoices", ["id"], *_text("id", "tenant", "party", "agreement", "currency"), *_int64("place"),
        *_text("kind", "status", "issuer", "number", "run"), *_int64("before_batch", "before_until_ms", "batch", "until_ms"),
        *_text("instant", "from_day", "until_day", "document"), *_int64("net", "tax", "total"), *_text("credits", "who"),
        *_int64("at_ms", "due_ms", "issued_at_ms", "paid"),
    )  # fmt: skip
    op.create_index("ix_invoices_chain", "invoices", ["tenant", "party", "agreement", "currency", "place"])
    op.create_index("ix_invoices_number", "invoices", ["tenant", "number"])
    op.create_index("ix_invoices_run", "invoices", ["run", "status"])
    year = sa.Column("year", sa.Integer(), autoincrement=False, nullable=False)
    _create("invoice_numbers", ["tenant", "issuer", "year"], *_text("tenant", "issuer"), year, *_int64("last"))
    _create(
        "invoice_mails", ["invoice", "address"], *_text("invoice", "address", "message_id", "state", "error"), *_int64("at_ms"),
    )  # fmt: skip
    _create(
        "payments", ["id"], *_text("id", "tenant", "party", "currency", "kind"), *_int64("units", "nanos"),
        *_text("reference", "value_day", "source", "who"), *_int64("at_ms"),
    )  # fmt: skip
    op.create_index("ix_payments_party", "payments", ["tenant", "party"])
    _create("allocations", ["id"], *_text("id", "tenant", "invoice", "payment"), *_int64("amount", "at_ms"))
    op.create_index("ix_allocations_invoice", "allocations", ["invoice"])
    op.create_index("ix_allocations_payment", "allocations", ["payment"])
    _create(
        "bank_entries", ["id"], *_text("id", "tenant", "file", "account", "currency", "text", "name", "iban", "value_day"),
        *_int64("units", "nanos"), *_text("state", "why", "payment"), *_int64("at_ms"),
    )  # fmt: skip
    op.create_index("ix_bank_entries_state", "bank_entries", ["tenant", "state"])


def _create(table: str, key: list[str], *columns: Any) -> None:
    op.create_table(table, *columns, sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{table}")))


def _text(*names: str, default: str | None = None) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text(), server_default=default, nullable=False) for name in names]


def _int64(*names: str, default: str | None = None) -> list[sa.Column[int]]:
    return [sa.Column(name, sa.BigInteger(), server_default=default, nullable=False) for name in names]


def _flag(*names: str) -> list[sa.Column[bool]]:
    return [sa.Column(name, sa.Boolean(), server_default=sa.false(), nullable=False) for name in names]
