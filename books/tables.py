"""The tables, as they are at the newest migration (a test compares the two).

Times are UTC epoch milliseconds. A part that a key leaves open is "", never NULL, so that it can be in a primary key.
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


def _text(*names: str, default: str | None = None) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, nullable=False, server_default=default) for name in names]


def _ms(*names: str, default: str | None = None) -> list[sa.Column[int]]:
    return [sa.Column(name, Ms, nullable=False, server_default=default) for name in names]


def _flag(*names: str) -> list[sa.Column[bool]]:
    return [sa.Column(name, sa.Boolean, nullable=False, server_default=sa.false()) for name in names]


def _key(*names: str) -> list[sa.Column[str]]:
    return [sa.Column(name, sa.Text, primary_key=True) for name in names]


KEY = ("tenant", "account", "ingress_trunk", "a_number", "b_range")
"""The parts of `core.orders.Key`."""

# --- who ---

tenants = sa.Table("tenants", METADATA, *_key("name"), *_ms("at_ms"))

credentials = sa.Table(
    "credentials",
    METADATA,
    *_key("token_sha256"),
    *_text("tenants"),  # JSON list: whose calls the switch may post
    *_text("switch"),
    *_text("sources"),  # JSON list of networks; empty = from anywhere
    *_ms("at_ms"),
    sa.Column("revoked_at_ms", Ms),
    *_text("scopes", default='["records","route"]'),  # JSON list: what it may do (books.credentials.SCOPES)
    sa.Column("expires_at_ms", Ms),  # NULL = never
)

users = sa.Table(
    "users",
    METADATA,
    *_key("name"),
    *_text("password_hash"),  # argon2; "" = signs in elsewhere
    *_ms("at_ms"),
    *_ms("sessions_from_ms"),  # a session that began before is over
    sa.Column("disabled_at_ms", Ms),
)

user_roles = sa.Table("user_roles", METADATA, *_key("name", "tenant", "role"))  # tenant "" = every tenant

user_parties = sa.Table("user_parties", METADATA, *_key("name", "tenant", "party"))  # whose portal a customer's user opens

# --- what it costs, and the version that names it ---

deck_versions = sa.Table(
    "deck_versions",
    METADATA,
    *_key("id"),  # SHA-256 over currency and content
    *_text("currency"),
    sa.Column("content", sa.LargeBinary, nullable=False),  # the normalized CSV
    *_text("who"),
    *_ms("at_ms"),
)

deck_profiles = sa.Table(  # how a carrier writes his files, and what was agreed on with him
    "deck_profiles",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("carrier", sa.Text, primary_key=True),
    *_text("profile"),  # JSON of rating.offers.mapping.Profile
    *_text("who"),
    *_ms("at_ms"),
)

deck_imports = sa.Table(  # the versions of a carrier's deck, numbered from 1; never changed
    "deck_imports",
    METADATA,
    sa.Column("tenant", sa.Text, primary_key=True),
    sa.Column("carrier", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    *_text("deck_id"),  # of deck_versions: what it prices by
    *_text("base"),  # the name of the deck that it was made of, "" = none
    *_text("base_id"),
    *_text("file_name"),
    *_text("file_sha256"),
    *_text("facts"),  # JSON of books.offers.Facts
    *_text("findings"),  # JSON list of rating.offers.finding.Finding
    *_text("who"),
    *_ms("at_ms"),
)

deck_activations = sa.Table(  # when a version was put in force, or taken back
    "deck_activations",
    METADATA,
    sa.Column("id", Serial, primary_key=True),
    *_text("tenant"),
    *_text("carrier"),
    *_text("deck"),  # CARRIER@NUMBER
    *_ms("from_at_ms"),
    *_text("plan_before"),  # JSON list of core.config.DeckSpan
    *_text("plan_after"),
    *_ms("config_version"),
    *_text("who"),
    *_text("why"),
    *_ms("at_ms"),
    *_ms("rolled_back_at_ms", default="0"),  # 0 = it stands
    sa.Index("ix_deck_activations_carrier", "tenant", "carrier", "id"),
)

config_parts = sa.Table(
    "config_parts",
    METADATA,
    *_key("hash"),  # SHA-256 of the content
    sa.Column("content", sa.LargeBinary, nullable=False),  # JSON, see core.parts
)

config_versions = sa.Table(
    "config_versions",
    METADATA,
    sa.Column("version", Serial, primary_key=True, autoincrement=False),
    *_text("parts"),  # JSON list of (tenant, kind, bucket, hash of the part)
    *_text("who", "why"),
    *_ms("at_ms"),
)

# --- what calls would have cost ---

rating_runs = sa.Table(  # never removed: a number that was given out is not given out again
    "rating_runs",
    METADATA,
    sa.Column("run", Serial, primary_key=True, autoincrement=False),
    *_text("kind"),  # rerate | recycle
    *_text("spec"),  # JSON of books.runs.Spec: which calls, and by which terms
    *_text("who", "why"),
    *_ms("at_ms"),
    *_text("state"),  # computed | counting | counts | void | withdrawn
    *_text("state_who", "state_why"),
    *_ms("state_at_ms"),
    *_text("found"),  # JSON of books.runs.RunTotals: what the what-if came to
)

# --- switches ---

switches = sa.Table("switches", METADATA, *_key("name"), *_text("kind", "control_url", "control_token"), *_ms("at_ms"))

switch_tenants = sa.Table(  # whose calls a switch carries, and whether it enforces for them or is in shadow
    "switch_tenants",
    METADATA,
    sa.Column("switch", sa.Text, sa.ForeignKey("switches.name"), primary_key=True),
    sa.Column("tenant", sa.Text, sa.ForeignKey("tenants.name"), primary_key=True),
    *_flag("enforcing"),
)

# a person has turned blocks off at this switch; nothing is delivered until a person clears the hold
holds = sa.Table("holds", METADATA, *_key("switch"), *_text("who", "why"), *_ms("at_ms"))

switch_states = sa.Table(  # at the dispatcher's last round
    "switch_states",
    METADATA,
    *_key("switch"),
    *_text("boot", default=""),
    *_ms("seen_ms", "compared_ms", default="0"),
    *_ms("missing", "strangers", default="0"),  # drift, counted since the beginning: rows missing at the switch, and surplus rows
    *_text("error", default=""),
)

leases = sa.Table(
    "leases",
    METADATA,
    *_key("name"),
    *_text("holder"),
    *_ms("fence"),  # rises with every new holder
    *_ms("until_ms"),
)

# --- lists, orders, suppressions ---

lists = sa.Table(
    "lists",
    METADATA,
    *_key("list"),  # allow | deny | protected
    *_key("kind"),  # number | caller | destination | account | trunk | carrier
    *_key("tenant"),  # "" = every tenant
    *_key("value"),
    *_text("why", "who"),
    *_ms("at_ms"),
    *_key("account"),  # only this account's calls; "" = everybody's
    *_ms("until_ms", default="0"),  # 0 = until a person takes it off
)

alerts = sa.Table(
    "alerts",
    METADATA,
    *_key("finding_id"),
    *_text("tenant", "detector", "subject_kind", "subject"),
    *_ms("detected_at_ms", "first_ms", "last_ms", "calls", "exposure_nanos"),
    *_text("currency"),
    sa.Column("score", sa.Double, nullable=False),
    *_text("reason"),
    *_text("example_call_ids"),  # JSON list
    *_text("key"),  # JSON of core.orders.Key, "" = none
    *_ms("learned_ms"),
    *_ms("opened_ms"),  # when it first came into the books
    *_ms("updated_ms"),
    *_text("facts", default=""),  # JSON of core.facts.Facts, "" = none
    sa.Index("ix_alerts_tenant", "tenant", "last_ms"),
    sa.Index("ix_alerts_opened", "opened_ms"),
)

alert_takes = sa.Table(  # who works on an alert
    "alert_takes",
    METADATA,
    *_key("finding_id"),
    *_text("who"),
    *_ms("at_ms"),
)

verdicts = sa.Table(  # what people said of alerts: the latest of each; the audit log has every change
    "verdicts",
    METADATA,
    *_key("finding_id"),
    *_text("tenant", "detector", "subject_kind", "subject"),
    *_text("verdict"),  # fraud | not fraud | unsure
    *_text("who", "why"),
    *_ms("at_ms"),
    *_ms("alerted_ms"),  # when its alert came: a label is later than what it is about
    *_text("spread_from"),  # the alert whose verdict it follows, "" = a person looked at this one
    *_text("facts"),  # of the alert, when it was judged: JSON of core.facts.Facts, "" = none
    sa.Index("ix_verdicts_tenant", "tenant", "at_ms"),
)

quiet_subjects = sa.Table(  # "not fraud": alerts of this detector about this subject are of no interest for a while
    "quiet_subjects",
    METADATA,
    *_key("tenant", "detector", "subject_kind", "subject"),
    *_text("finding_id"),
    *_ms("until_ms"),
    *_text("who", "why"),
    *_ms("at_ms"),
)

route_tests = sa.Table(  # test calls, as core.route_tests.RouteTest; NULL = not observed
    "route_tests",
    METADATA,
    *_key("tenant", "test_id"),
    *_ms("at_ms"),
    *_text("carrier", "a_number", "b_number"),
    sa.Column("cli", sa.Text),
    *[sa.Column(name, sa.Boolean) for name in ("answered", "line_rang", "line_answered", "ringback")],
    *[sa.Column(name, Ms) for name in ("hung_up_ms", "ended_ms")],
    sa.Index("ix_route_tests_at", "tenant", "at_ms"),
)

models = sa.Table(  # files of trained scorers; never changed
    "models",
    METADATA,
    *_key("sha256"),
    *_text("name"),
    sa.Column("content", sa.LargeBinary, nullable=False),
    *_text("who", "why"),
    *_ms("at_ms"),
)

rule_changes = sa.Table(  # a change of a tenant's policy on its way: tried, in shadow, promoted or thrown away
    "rule_changes",
    METADATA,
    sa.Column("id", Serial, primary_key=True),
    *_text("tenant"),
    *_text("changes"),  # JSON: keys of the policy, as in the config file
    *_text("why", "who"),
    *_ms("at_ms"),
    *_text("state"),  # tried | shadow | asked | promoted | thrown away
    *_text("state_why", "state_who"),
    *_ms("state_at_ms"),
    *_ms("shadow_from_ms", default="0"),
    *_text("tried", "shadowed", default=""),  # JSON of what the back-test over the past, and over the shadow, came to
    sa.Index("ix_rule_changes_tenant", "tenant", "id"),
)

notify_targets = sa.Table(  # receivers of messages about alerts: as core.notify.Target
    "notify_targets",
    METADATA,
    *_key("name"),
    *_text("kind", "address", "secret", "tenant", "least"),
    *_ms("after_ms"),
    *_text("hours", "days", "time_zone", "always"),
    *_flag("whole_numbers"),
    *_text("who"),
    *_ms("at_ms"),
)

notices = sa.Table(  # one row per message to a target, as core.notify.Notice, and what became of it
    "notices",
    METADATA,
    *_key("id"),
    *_text("target", "about", "tenant", "severity", "title", "text"),
    *_flag("escalated"),
    *_ms("event_ms", "next_ms"),
    *_text("state"),  # due | sending | sent | failed | obsolete
    *_ms("attempts"),
    *_text("error"),
    *_ms("changed_ms"),
    sa.Index("ix_notices_due", "state", "next_ms"),
    sa.Index("ix_notices_event", "event_ms"),
    sa.Index("ix_notices_changed", "changed_ms"),
)

cases = sa.Table(  # alerts that a person looks at together
    "cases",
    METADATA,
    *_key("id"),
    *_text("tenant", "title", "state"),  # open | closed
    *_text("who"),
    *_ms("at_ms"),
    sa.Index("ix_cases_tenant", "tenant", "state", "at_ms"),
)

case_alerts = sa.Table(  # an alert is in one case at most
    "case_alerts",
    METADATA,
    *_key("finding_id"),
    *_text("case_id"),
    sa.Index("ix_case_alerts_case", "case_id"),
)

case_events = sa.Table(  # append only
    "case_events",
    METADATA,
    sa.Column("id", Serial, primary_key=True),
    *_text("case_id", "event", "text", "who"),
    *_ms("at_ms"),
    sa.Index("ix_case_events_case", "case_id", "id"),
)

block_orders = sa.Table(
    "block_orders",
    METADATA,
    *_key("order_id"),
    *_text("finding_id", *KEY, "action"),
    *_ms("created_at_ms", "learned_ms", "expires_at_ms"),
    *_text("reason", "by"),
    *_flag("automatic"),
    *_flag("opened_key"),  # no order of its key was live: what the limits count
    *_text("status"),
    *_text("status_why", default=""),
    *_ms("status_at_ms"),
    *_text("decided_by", default=""),
    *_ms("received_at_ms"),
    *_ms("calls_a_minute", default="0"),  # of a throttle
    *_flag("cut"),  # calls in progress are ended as well
    *_ms("facts_expire_at_ms"),  # of the order as it came; expires_at_ms may be earlier, or later where a person approved it
    sa.Index("ix_block_orders_status", "status", "expires_at_ms"),
    sa.Index("ix_block_orders_key", *KEY, "status"),
    sa.Index("ix_block_orders_received", "tenant", "received_at_ms"),
)

deliveries = sa.Table(  # one row per entry that a table of a switch should hold, or holds and should not
    "deliveries",
    METADATA,
    *_key("switch"),
    *_key("table_name"),  # as `books.deliveries.TABLES` names them
    *_key("name"),
    *_text("value"),  # "" = to be removed
    *_ms("until_ms"),  # 0 = until it is removed
    *_flag("due"),  # the switch has not acknowledged this yet
    sa.Column("urgency", sa.Integer, nullable=False),  # the highest is sent first
    *_ms("changed_ms"),
    sa.Column("delivered_at_ms", Ms),
    sa.Index("ix_deliveries_due", "switch", "due", "urgency", "changed_ms"),
    sa.Index("ix_deliveries_until", "switch", "until_ms"),
)

suppressions = sa.Table(
    "suppressions",
    METADATA,
    sa.Column("id", Serial, primary_key=True),
    *_text(*KEY),
    *_ms("until_ms"),
    *_text("who", "why"),
    *_ms("at_ms"),
    sa.Index("ix_suppressions_until", "until_ms"),
)

# --- money ---


def _nanos(name: str = "") -> list[sa.Column[int]]:
    """An amount of up to 128 bits of nanos: `units` * 10**9 + `nanos`, with 0 <= nanos < 10**9 (books.ledger.split)."""
    return _ms(f"{name}units", f"{name}nanos")


ledger_accounts = sa.Table(
    "ledger_accounts",
    METADATA,
    *_key("id"),  # TENANT/KIND/PARTY/AGREEMENT/CURRENCY
    *_text("tenant", "kind", "party", "agreement", "currency"),
    *_ms("at_ms"),
    sa.Index("ix_ledger_accounts_party", "tenant", "party"),
)

ledger_transfers = sa.Table(  # append only: triggers refuse anything else; likewise the entries
    "ledger_transfers",
    METADATA,
    *_key("id"),  # derived from what it is for: a repeat is the same transfer
    *_text("tenant", "kind", "reference", "source", "target", "currency"),
    *_nanos(),  # > 0
    *_ms("at_ms"),
    sa.Index("ix_ledger_transfers_reference", "tenant", "kind", "reference"),
)

ledger_entries = sa.Table(  # two of each transfer: less at its source, more at its target
    "ledger_entries",
    METADATA,
    sa.Column("account", sa.Text, sa.ForeignKey("ledger_accounts.id"), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),  # of the account's entries, from 1, without a gap
    sa.Column("transfer", sa.Text, sa.ForeignKey("ledger_transfers.id"), nullable=False),
    *_nanos(),
    *_nanos("balance_"),  # of the account after it
    sa.Index("ix_ledger_entries_transfer", "transfer"),
)

ledger_balances = sa.Table(  # what the entries come to: who posts to an account locks its row
    "ledger_balances",
    METADATA,
    sa.Column("account", sa.Text, sa.ForeignKey("ledger_accounts.id"), primary_key=True),
    *_ms("number"),  # of the last entry
    *_nanos(),
)

posting_batches = sa.Table(  # which charges of the warehouse the ledger has, batch after batch
    "posting_batches",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    *_text("posted"),  # JSON of core.posted.Posted: all charges that are posted since this batch
    *_ms("charges", "at_ms"),
)

invoice_runs = sa.Table(  # a run makes the drafts of all periods of a tenant that have ended by a day; it reads what was posted when it began
    "invoice_runs",
    METADATA,
    *_key("id"),  # derived from tenant and day: whoever starts it twice starts the same run
    *_text("tenant", "until_day"),
    *_ms("batch"),  # of posting_batches
    *_text("state"),  # running | done
    *_ms("due", "made"),
    *_text("findings"),  # JSON list: what could not be invoiced, and why
    *_text("who"),
    *_ms("at_ms"),
)

invoices = sa.Table(  # draft -> approved -> issued; an issued one is never changed: triggers refuse it
    "invoices",
    METADATA,
    *_key("id"),  # derived from the tenant, party, agreement, currency and place in their chain
    *_text("tenant", "party", "agreement", "currency"),
    *_ms("place"),  # in the chain of invoices of this party, agreement and currency, from 1; of a credit note 0
    *_text("kind", "status", "issuer", "number"),  # number: "" until it is issued
    *_text("run"),
    *_ms("before_batch", "before_until_ms", "batch", "until_ms"),  # its calls are the step from the first state to the second (warehouse.owed)
    *_text("instant"),
    *_text("from_day", "until_day"),
    *_text("document"),  # JSON of assurance.invoice.Document
    *_ms("net", "tax", "total"),  # in the currency's smallest unit
    *_text("credits"),  # of a credit note: the id of its invoice
    *_text("who"),
    *_ms("at_ms", "due_ms", "issued_at_ms"),  # 0 until it is issued
    *_ms("paid"),  # of it before it was issued
    sa.Index("ix_invoices_chain", "tenant", "party", "agreement", "currency", "place"),
    sa.Index("ix_invoices_number", "tenant", "number"),
    sa.Index("ix_invoices_run", "run", "status"),
)

invoice_numbers = sa.Table(  # the last number of a legal entity and year: without a gap, because it rises in the transaction that issues
    "invoice_numbers",
    METADATA,
    *_key("tenant", "issuer"),
    sa.Column("year", sa.Integer, primary_key=True, autoincrement=False),
    *_ms("last"),
)

invoice_mails = sa.Table(  # an invoice is mailed once to an address: the row stands before the mail is sent, and says when it was accepted
    "invoice_mails",
    METADATA,
    *_key("invoice", "address"),
    *_text("message_id", "state"),  # sending | sent | failed
    *_text("error"),
    *_ms("at_ms"),
)

payments = sa.Table(  # append only, and so are the allocations
    "payments",
    METADATA,
    *_key("id"),  # derived from where it comes from: a bank's file twice is the same payments
    *_text("tenant", "party", "currency", "kind"),
    *_nanos(),  # < 0 = paid back
    *_text("reference", "value_day", "source", "who"),
    *_ms("at_ms"),
    sa.Index("ix_payments_party", "tenant", "party"),
)

allocations = sa.Table(
    "allocations",
    METADATA,
    *_key("id"),
    *_text("tenant", "invoice", "payment"),  # the payment, credit note or write-off that pays
    *_ms("amount", "at_ms"),  # in the currency's smallest unit
    sa.Index("ix_allocations_invoice", "invoice"),
    sa.Index("ix_allocations_payment", "payment"),
)

bank_entries = sa.Table(  # of a bank's files: which payment each became, or why none
    "bank_entries",
    METADATA,
    *_key("id"),  # derived from the account, statement and entry
    *_text("tenant", "file", "account", "currency", "text", "name", "iban", "value_day"),
    *_nanos(),
    *_text("state", "why", "payment"),  # matched | unmatched | dismissed
    *_ms("at_ms"),
    sa.Index("ix_bank_entries_state", "tenant", "state"),
)

# --- audit and progress ---

audit = sa.Table(  # append only: triggers refuse anything else
    "audit",
    METADATA,
    sa.Column("id", Serial, primary_key=True),
    *_ms("at_ms"),
    *_text("who", "verb", "subject", "why"),
    *_text("previous", "sha256"),  # of the line before, and of this one with it: a chain, see books.audit
    sa.Index("ix_audit_at", "at_ms"),
)

progress = sa.Table(
    "progress",
    METADATA,
    *_key("reader", "topic"),
    sa.Column("partition", sa.Integer, primary_key=True),
    *_ms("next_offset"),
)

# of what has no table of its own: malformed messages, repeats
counters = sa.Table("counters", METADATA, *_key("name"), *_ms("value"))

# --- assurance ---

party_files = sa.Table(  # how a party writes its calls and invoices, and what its names of destinations are with us
    "party_files",
    METADATA,
    *_key("tenant", "role", "party"),  # role: buy | sell
    *_text("profile"),  # JSON of books.reconciliations.FileProfile
    *_text("who"),
    *_ms("at_ms"),
)

picked_files = sa.Table(  # files that carriers and switches laid out for us, as they were picked up
    "picked_files",
    METADATA,
    *_key("tenant", "source", "name", "sha256"),
    sa.Column("modified_ms", Ms, primary_key=True),  # a file that was touched is read once more, and then known
    *_ms("size_bytes", "number"),
    *_text("path"),
    *_ms("every_ms", "least_bytes", "at_ms"),
)

reconciliations = sa.Table(
    "reconciliations",
    METADATA,
    *_key("id"),  # derived from the party, the period and the files
    *_text("tenant", "role", "party"),
    *_ms("from_ms", "to_ms"),
    *_text("invoice_no", "invoice_sha256", "cdrs_sha256", "currency"),
    *_text("theirs", "ours"),  # decimal text
    *_text("summary"),  # JSON of books.reconciliations.Summary
    sa.Column("calls", sa.LargeBinary, nullable=False),  # Parquet: the calls that differ, one row per part
    *_text("who"),
    *_ms("at_ms"),
    sa.Index("ix_reconciliations_party", "tenant", "role", "party", "from_ms"),
)

disputes = sa.Table(
    "disputes",
    METADATA,
    *_key("id"),  # RECONCILIATION-CAUSE
    *_text("tenant", "role", "party", "reconciliation", "cause", "state", "currency"),
    *_text("amount"),  # decimal text: what is disputed
    *_text("agreed", default=""),  # decimal text: what was agreed on, "" = nothing yet
    *_text("credit_note", default=""),  # its number
    *_ms("calls"),
    *_ms("due_ms", default="0"),  # by when the next step has to be taken, 0 = never
    *_ms("at_ms"),
    sa.Index("ix_disputes_state", "tenant", "state", "due_ms"),
)

dispute_events = sa.Table(  # append only: what happened to a dispute
    "dispute_events",
    METADATA,
    sa.Column("id", Serial, primary_key=True),
    *_text("dispute", "event", "state", "amount", "who", "why"),
    *_ms("at_ms"),
    sa.Index("ix_dispute_events_dispute", "dispute", "id"),
)

control_results = sa.Table(
    "control_results",
    METADATA,
    sa.Column("id", Serial, primary_key=True),  # the last one of a control and a period is in force
    *_text("tenant", "control", "period"),  # period: FROM..TO in epoch ms
    *_text("status"),  # passed | found | not_checked
    *_ms("checked", "count"),
    *_text("money"),  # JSON: currency -> decimal text
    *_text("result"),  # JSON of assurance.controls.protocol.Result
    *_ms("at_ms"),
    sa.Index("ix_control_results_period", "tenant", "period", "control", "id"),
)
