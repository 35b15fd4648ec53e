"""The ledger: accounts, transfers, entries. A transfer moves one amount of one currency from its source to its target, so the entries of each
transfer, and the balances of each currency, come to zero. Nothing is updated or deleted (the tables refuse it); a mistake is moved back.

Balances are seen from us: what others owe us is positive, what we owe them is negative.

    unbilled     what a customer's calls came to since his last invoice        revenue     where his calls, fees and discounts come from
    receivable   what a party's invoices came to, less what it paid             cost        where carriers' calls and commissions go
    unpaid       what carriers' calls came to, less what we paid them           tax         what we collect for the tax office
    commission   what resellers earned                                          rounding    what invoices round away
    cash         what came in and went out of our banks                         written_off what nobody will pay

Amounts are Python integers of nanos; a table has them as two 64-bit columns, so that both databases sum them exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, TypeAlias

import sqlalchemy as sa

from books import tables
from books.upsert import insert_once, put_all
from core.ids import derived_id

Kind: TypeAlias = Literal[
    "unbilled", "receivable", "unpaid", "commission", "cash", "revenue", "cost", "tax", "rounding", "written_off"
]
NANOS = 10**9
AT_ONCE = 400
"""Names that one query asks for: both databases limit the parameters of a statement."""


class Conflict(Exception):
    """A transfer of this id stands already, with another content. Nothing was posted."""


@dataclass(frozen=True)
class Account:
    """Whose money, of which kind and currency. `party` and `agreement` are "" where it is our own."""

    tenant: str
    kind: Kind
    currency: str
    party: str = ""
    agreement: str = ""

    @property
    def id(self) -> str:
        """
        >>> Account("t1", "unbilled", "EUR", "acme", "retail").id
        't1/unbilled/acme/retail/EUR'
        """
        return f"{self.tenant}/{self.kind}/{self.party}/{self.agreement}/{self.currency}"


@dataclass(frozen=True)
class Transfer:
    """`nanos` > 0 from `source` to `target`. `id`: derived from what it is for. `reference`: the batch, invoice or payment that it belongs to."""

    id: str
    kind: str
    reference: str
    source: Account
    target: Account
    nanos: int

    def __post_init__(self) -> None:
        if self.nanos <= 0:
            raise ValueError(f"transfer {self.id} of {self.nanos} nanos: an amount is > 0, its direction is from source to target")
        if (self.source.tenant, self.source.currency) != (self.target.tenant, self.target.currency) or self.source == self.target:
            raise ValueError(f"transfer {self.id}: from {self.source.id} to {self.target.id}: two accounts of one tenant and currency")


def transfer(kind: str, reference: str, source: Account, target: Account, nanos: int, what: str = "") -> list[Transfer]:
    """The transfer of a signed amount: a negative one goes the other way, none at all is no transfer. `what` tells apart several of one reference.

    >>> customer, revenue = Account("t1", "unbilled", "EUR", "acme"), Account("t1", "revenue", "EUR")
    >>> [(one.source.kind, one.target.kind, one.nanos) for one in transfer("usage", "7", revenue, customer, -5)]
    [('unbilled', 'revenue', 5)]
    """
    if not nanos:
        return []
    one = derived_id("transfer", source.tenant, kind, reference, what, source.id, target.id)
    return [Transfer(one, kind, reference, source, target, nanos) if nanos > 0 else Transfer(one, kind, reference, target, source, -nanos)]


def split(nanos: int) -> tuple[int, int]:
    """An amount as the two columns of a table.

    >>> split(-1), split(10**20 + 7), joined(*split(-(10**27) - 1)) == -(10**27) - 1
    ((-1, 999999999), (100000000000, 7), True)
    """
    return divmod(nanos, NANOS)


def joined(units: int, nanos: int) -> int:
    """The inverse of `split`; also of sums of both columns."""
    return int(units) * NANOS + int(nanos)


def post(conn: sa.Connection, transfers: Sequence[Transfer], now_ms: int) -> int:
    """Posts transfers and returns how many are new; those that stand already are left as they are. Raises `Conflict`.

    Order: the accounts, the lock of their balances (in the order of their ids, so that two writers never wait for each other), then transfers,
    entries and balances; all in the caller's transaction, so that a crash leaves nothing.
    """
    accounts = {account.id: account for one in transfers for account in (one.source, one.target)}
    insert_once(conn, tables.ledger_accounts, [_account_row(one, now_ms) for _, one in sorted(accounts.items())])
    insert_once(conn, tables.ledger_balances, [{"account": one, "number": 0, "units": 0, "nanos": 0} for one in sorted(accounts)])
    state = _locked(conn, sorted(accounts))
    new = _not_yet(conn, transfers)
    rows, entries = [], []
    for one in new:
        units, nanos = split(one.nanos)
        rows.append({
            "id": one.id, "tenant": one.source.tenant, "kind": one.kind, "reference": one.reference, "source": one.source.id,
            "target": one.target.id, "currency": one.source.currency, "units": units, "nanos": nanos, "at_ms": now_ms,
        })  # fmt: skip
        for account, change in ((one.source.id, -one.nanos), (one.target.id, one.nanos)):
            number, balance = state[account]
            state[account] = number + 1, balance + change
            (units, nanos), (balance_units, balance_nanos) = split(change), split(balance + change)
            entries.append({
                "account": account, "number": number + 1, "transfer": one.id, "units": units, "nanos": nanos,
                "balance_units": balance_units, "balance_nanos": balance_nanos,
            })  # fmt: skip
    if rows:
        conn.execute(sa.insert(tables.ledger_transfers), rows)
        conn.execute(sa.insert(tables.ledger_entries), entries)
        moved = {account.id for one in new for account in (one.source, one.target)}
        put_all(conn, tables.ledger_balances, [_balance_row(one, *state[one]) for one in sorted(moved)])
    return len(rows)


def _account_row(one: Account, now_ms: int) -> dict[str, object]:
    return {
        "id": one.id, "tenant": one.tenant, "kind": one.kind, "party": one.party, "agreement": one.agreement, "currency": one.currency,
        "at_ms": now_ms,
    }  # fmt: skip


def _balance_row(account: str, number: int, balance: int) -> dict[str, object]:
    units, nanos = split(balance)
    return {"account": account, "number": number, "units": units, "nanos": nanos}


def _locked(conn: sa.Connection, accounts: list[str]) -> dict[str, tuple[int, int]]:
    """Number of the last entry and balance, of each account; nobody else posts to them before the end of the transaction."""
    t = tables.ledger_balances.c
    found = {}
    for some in _pieces(accounts):
        query = sa.select(t.account, t.number, t.units, t.nanos).where(t.account.in_(some)).order_by(t.account)
        for row in conn.execute(query.with_for_update()):
            found[row.account] = int(row.number), joined(row.units, row.nanos)
    return found


def _not_yet(conn: sa.Connection, transfers: Sequence[Transfer]) -> list[Transfer]:
    """The transfers that do not stand yet, each once."""
    wanted: dict[str, Transfer] = {}
    for one in transfers:
        if wanted.setdefault(one.id, one) != one:
            raise Conflict(f"two transfers of one id {one.id}: {one} and {wanted[one.id]}")
    t = tables.ledger_transfers.c
    for some in _pieces(list(wanted)):
        query = sa.select(t.id, t.source, t.target, t.units, t.nanos).where(t.id.in_(some))
        for row in conn.execute(query):
            one = wanted.pop(row.id)
            if (row.source, row.target, joined(row.units, row.nanos)) != (one.source.id, one.target.id, one.nanos):
                raise Conflict(
                    f"{one.kind} {one.reference}: {joined(row.units, row.nanos)} nanos from {row.source} to {row.target} are posted already, "
                    f"and would now be {one.nanos} from {one.source.id} to {one.target.id}. Nothing was posted"
                )
    return list(wanted.values())


def _pieces(names: list[str]) -> Iterable[list[str]]:
    return (names[start : start + AT_ONCE] for start in range(0, len(names), AT_ONCE))


class Balance(NamedTuple):
    account: Account
    nanos: int


def balances(conn: sa.Connection, tenant: str = "", party: str = "", kinds: Iterable[str] = ()) -> list[Balance]:
    """Balances by account; "" and no kinds = all of them."""
    a, b = tables.ledger_accounts.c, tables.ledger_balances.c
    query = sa.select(a.tenant, a.kind, a.currency, a.party, a.agreement, b.units, b.nanos).where(a.id == b.account).order_by(a.id)
    if tenant:
        query = query.where(a.tenant == tenant)
    if party:
        query = query.where(a.party == party)
    if kinds := list(kinds):
        query = query.where(a.kind.in_(kinds))
    return [Balance(Account(*row[:5]), joined(row.units, row.nanos)) for row in conn.execute(query)]


def balance(conn: sa.Connection, account: Account) -> int:
    """The balance of one account in nanos; 0 where nothing was ever posted to it."""
    t = tables.ledger_balances.c
    row = conn.execute(sa.select(t.units, t.nanos).where(t.account == account.id)).first()
    return 0 if row is None else joined(row.units, row.nanos)


def sums(conn: sa.Connection, kind: str, accounts: Iterable[str], reference: str = "") -> dict[Account, int]:
    """What the transfers of one kind came to, by account of these kinds."""
    a, e, t = tables.ledger_accounts.c, tables.ledger_entries.c, tables.ledger_transfers.c
    columns = (a.tenant, a.kind, a.currency, a.party, a.agreement)
    query = (
        sa.select(*columns, sa.func.sum(e.units), sa.func.sum(e.nanos))
        .where(e.account == a.id, e.transfer == t.id, t.kind == kind, a.kind.in_(list(accounts)))
        .group_by(*columns)
    )
    if reference:
        query = query.where(t.reference == reference)
    return {Account(*row[:5]): joined(row[5], row[6]) for row in conn.execute(query)}


def faults(conn: sa.Connection) -> list[str]:
    """What contradicts itself in the ledger: a transfer whose entries do not come to zero, an account whose balance is not the sum of its entries.
    An empty list proves that every transfer balances."""
    e, b, t = tables.ledger_entries.c, tables.ledger_balances.c, tables.ledger_transfers.c
    units, nanos, count = sa.func.sum(e.units), sa.func.sum(e.nanos), sa.func.count()
    by_transfer = sa.select(e.transfer, units, nanos, count).group_by(e.transfer).having(
        sa.or_(units * NANOS + nanos != 0, count != 2)
    )
    found = [
        f"transfer {row[0]}: its {row[3]} entries come to {joined(row[1], row[2])} nanos, not to 0"
        for row in conn.execute(by_transfer.limit(20))
    ]
    bare = sa.select(t.id).where(t.id.not_in(sa.select(e.transfer))).limit(20)
    found += [f"transfer {row.id}: it has no entries" for row in conn.execute(bare)]
    sums = sa.select(e.account, units, nanos, count).group_by(e.account)
    by_account = {row[0]: (joined(row[1], row[2]), int(row[3])) for row in conn.execute(sums)}
    for row in conn.execute(sa.select(b.account, b.units, b.nanos, b.number)):
        total, entries = by_account.get(row.account, (0, 0))
        if (total, entries) != (joined(row.units, row.nanos), int(row.number)):
            found.append(
                f"account {row.account}: its balance is {joined(row.units, row.nanos)} nanos after {row.number} entries, "
                f"and its {entries} entries come to {total}"
            )
    return found


def transfers(conn: sa.Connection, kind: str, source: Account) -> list[tuple[int, int]]:
    """When and how much, in nanos, was moved from an account by transfers of one kind, oldest first."""
    t = tables.ledger_transfers.c
    query = sa.select(t.at_ms, t.units, t.nanos).where(t.tenant == source.tenant, t.kind == kind, t.source == source.id).order_by(t.at_ms, t.id)
    return [(int(row.at_ms), joined(row.units, row.nanos)) for row in conn.execute(query)]
