"""The rows of a carrier's file as rates, by a mapping: each is taken exactly as it is written, or there is a finding that names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from core.currencies import CURRENCIES
from core.decimals import number
from core.money import to_nanos, to_text
from rating.deck import FOREVER_MS
from rating.decks import CONDITION_COLUMNS, MAX_PRICE, check_cells
from rating.offers.codes import BadCode, codes_of
from rating.offers.finding import Findings, refused
from rating.offers.mapping import BY_STATE, MORE, PRICES, Mapping, clean_name
from rating.offers.places import places_of
from rating.offers.styles import bare_amount, date_ms, increments
from rating.offers.table import Row, Table
from rating.offers.xlsx import Number

MOST_RATES = 3_000_000
MONEY = ("price_per_increment", "min_amount", "max_amount", "surcharge")


class Rate(NamedTuple):
    """What a carrier asks for a code from one time until another. `closed`: he no longer takes calls to it. Times are UTC epoch ms."""

    row: int  # of the file
    prefix: str
    destination: str
    per_min_nanos: int
    connect_nanos: int
    attempt_nanos: int
    first_s: int
    next_s: int
    from_ms: int  # -FOREVER_MS = from when the deck is in force
    to_ms: int
    closed: bool
    more: tuple[tuple[str, str], ...] = ()  # cells of the deck's other columns, as it writes them

    @property
    def condition(self) -> tuple[tuple[str, str], ...]:
        """What the row asks of a call: rates of one code with different conditions are in force at the same time."""
        return tuple(cell for cell in self.more if cell[0] in CONDITION_COLUMNS) if self.more else ()


@dataclass(frozen=True)
class Offer:
    """A file as rates, in the order of their codes and times. Only without errors among the findings may it be imported."""

    rates: list[Rate]
    findings: Findings
    rows: int  # of the file that were read as rates
    columns: dict[str, str] = field(default_factory=dict)  # field -> the column as the file has it


def take(table: Table, mapping: Mapping, currency: str, valid_from_ms: int | None = None, zone: str = "UTC") -> Offer:
    """The rates of a table. `valid_from_ms`: of rows without a date of their own; None = from when the deck is in force.

    Raises `OfferError` where the columns of the mapping are not there.

    >>> from rating.offers.table import open_table
    >>> table = open_table(b"Code;Price;Incr\\n44;0,02;1/1\\n4477-4478;0,035;60/1\\n4479;abc;1/1\\n")
    >>> mapping = Mapping(columns={"prefix": "Code", "price_per_min": "Price", "increments": "Incr"}, decimal=",")
    >>> offer = take(table, mapping, "EUR")
    >>> [(rate.prefix, rate.per_min_nanos, rate.first_s) for rate in offer.rates], [one.text() for one in offer.findings]
    ([('44', 20000000, 1), ('4477', 35000000, 60), ('4478', 35000000, 60)], ["row 4, column Price: 'abc' is not an amount: write a number"])
    """
    after, places, names = places_of(table, mapping)
    findings = Findings(sheet=table.sheet)
    headed = next((len(row.cells) for row in table.rows() if row.number == after), 0) if after else 0
    read = _Reader(mapping, currency, valid_from_ms, zone, places, names, findings, headed, table.delimiter == ",")
    rates: list[Rate] = []
    count = 0
    for row in table.rows():
        if row.number <= after:
            continue
        if row.fault:
            findings.add("unreadable row", "error", row.fault, row=row.number)
            continue
        made = read(row)
        count += bool(made)
        rates += made
        if len(rates) > MOST_RATES:
            raise refused("too many rows", f"the file stands for more than {MOST_RATES:,} codes, the most that is imported", row=row.number)
    if not rates and not findings.has_errors:
        findings.add("empty file", "error", "no row of the file is a rate", "ask the carrier to send it again")
    return Offer(_in_order(rates, findings), findings, count, names)


class _Reader:
    """Rows to rates. A sheet says few different things many times: what a text means is remembered."""

    def __init__(
        self, mapping: Mapping, currency: str, valid_from_ms: int | None, zone: str, places: dict[str, int], names: dict[str, str],
        findings: Findings, headed: int, comma: bool,
    ) -> None:  # fmt: skip
        self.mapping, self.currency, self.zone, self.names, self.findings = mapping, currency, zone, names, findings
        self.start_ms = -FOREVER_MS if valid_from_ms is None else valid_from_ms
        self.width = max(places.values()) + 1
        self.places = places
        self.closed_words = {word.casefold() for word in mapping.closed_words}
        self.above: dict[str, str] = {}
        self.headings = {clean_name(label) for label in names.values() if not label.startswith("#")}
        self._prices: dict[str, int | str] = {}
        self._numbers: dict[str, int | str] = {}  # the same digits may mean something else in a text
        self._dates: dict[str, int | None] = {}
        self._steps: dict[str, tuple[int, int] | str] = {}
        at = places.get
        self.code, self.country, self.city = at("prefix"), at("country_code"), at("city_code")
        self.priced = [places[name] for name in PRICES if name in places]
        self.name, self.price, self.change, self.unit = at("destination"), self.priced[0], at("change"), at("currency")
        self.states = [(name, kind, places[name]) for name, kind in BY_STATE.items() if name in places]
        self.more = [(name, places[name]) for name in MORE if name in places]
        self.has_price = "price_per_min" in places
        self._wrong: dict[tuple[tuple[str, str], ...], str] = {}
        self.connect, self.attempt = at("connect_fee"), at("attempt_fee")
        self.first, self.next, self.both = at("first_s"), at("next_s"), at("increments")
        self.start, self.end = at("effective_from"), at("effective_to")
        self.known_width = headed if comma else 0

    def __call__(self, row: Row) -> list[Rate]:
        cells = row.cells
        if len(cells) < self.width:
            cells = [*cells, *[""] * (self.width - len(cells))]
        for name in self.mapping.fill_down:
            place = self.places[name]
            if cells[place]:
                self.above[name] = cells[place]
            elif cells[self.price]:
                cells = cells.copy()
                cells[place] = self.above.get(name, "")
        price = cells[self.price] or next((cells[place] for place in self.priced if cells[place]), "")
        change = cells[self.change].casefold() if self.change is not None else ""
        closed = change in self.closed_words or price.casefold() in self.closed_words
        code = cells[self.code] if self.code is not None else cells[self.city] if self.city is not None else ""
        country = cells[self.country] if self.country is not None else ""
        if self._is_no_rate(row, cells, code or country, price, closed):
            return []
        if self._is_cut_in_two(row):
            return []
        errors = self.findings
        codes = self._codes(row.number, code, country)
        more = self._more(row.number, cells) if self.more else ()
        own = cells[self.price] if self.has_price else ""
        priced_otherwise = bool(more) and any(name in ("steps", "price_per_increment") for name, _ in more or ())
        needs_price = not closed and not priced_otherwise and bool(own or not self.states)
        per_min = self._amount(row.number, "price_per_min", own) if needs_price else 0
        by_state: list[tuple[str, int | None]] = []
        if self.states and not closed:
            by_state = [(kind, self._amount(row.number, name, cells[place])) for name, kind, place in self.states if cells[place]]
        connect = self._amount(row.number, "connect_fee", cells[self.connect]) if self.connect is not None and cells[self.connect] else 0
        attempt = self._amount(row.number, "attempt_fee", cells[self.attempt]) if self.attempt is not None and cells[self.attempt] else 0
        first, following = self._increments(row.number, cells)
        start = self._date(row.number, "effective_from", cells[self.start], self.start_ms) if self.start is not None else self.start_ms
        end = self._date(row.number, "effective_to", cells[self.end], FOREVER_MS) if self.end is not None else FOREVER_MS
        if start is not None and end is not None and end <= start and not closed:
            errors.add("dates", "error", f"{cells[self.end or 0]!r} is not after the row's beginning", "correct one of the dates",
                       row.number, self.names.get("effective_to", ""))  # fmt: skip
        if self.unit is not None and cells[self.unit] and cells[self.unit].upper() != self.currency:
            self._other_currency(row.number, "currency", cells[self.unit])
        name = cells[self.name] if self.name is not None else ""
        if more is None or any(nanos is None for _, nanos in by_state):
            return []
        if not codes or per_min is None or connect is None or attempt is None or first is None or following is None or start is None or end is None:
            return []
        if closed and end != FOREVER_MS and self.start is None:
            start = end
        end = FOREVER_MS if closed else end
        if not by_state:
            return [Rate(row.number, one, name, per_min, connect, attempt, first, following, start, end, closed, more) for one in codes]
        found = [((("jurisdiction", kind), *more), nanos or 0) for kind, nanos in by_state]
        found += [(more, per_min)] if needs_price or priced_otherwise else []
        return [
            Rate(row.number, one, name, nanos, connect, attempt, first, following, start, end, closed, asked)
            for one in codes
            for asked, nanos in found
        ]

    def _more(self, row: int, cells: list[str]) -> tuple[tuple[str, str], ...] | None:
        """The cells of the deck's own columns, checked by its rules; None = there is a finding."""
        found = []
        for name, place in self.more:
            text = cells[place]
            if not text:
                continue
            if name in MONEY:
                nanos = self._amount(row, name, text)
                if nanos is None:
                    return None
                text = to_text(nanos)
            found.append((name, text.lower() if name in ("jurisdiction", "reverse", "reject", "first_is_minimum") else text))
        made = tuple(found)
        wrong = self._wrong.get(made)
        if wrong is None:
            wrong, priced = "", any(name in ("steps", "price_per_increment") for name, _ in made)
            try:
                check_cells(made if priced else (*made, ("price_per_min", "0")))
            except ValueError as fault:
                wrong = str(fault)
            self._wrong[made] = wrong
        if wrong:
            column = next((name for name, _ in made if name in wrong or name.split("_")[0] in wrong), made[0][0])
            self.findings.add("deck column", "error", wrong, "docs/rating.md says what the column may hold", row, self.names[column])
            return None
        return made

    def _is_no_rate(self, row: Row, cells: list[str], code: str, price: str, closed: bool) -> bool:
        """What stands between and below the rates: headings once more, lines of text, empty rows."""
        if price and code and price[0].isdigit():
            return False  # nearly all rows
        if not any(cells):
            return True
        if not price and not closed:
            if not code:
                self.findings.add("row left out", "note", "the row has neither a code nor a price, and is left out", row=row.number)
                return True
            if not any(letter.isdigit() for letter in code) or (len(code) > 40 and any(letter.isalpha() for letter in code)):
                self.findings.add("row left out", "note", f"{code[:40]!r} is a line of text, and is left out", row=row.number)
                return True
        if self.headings and clean_name(price) in self.headings and not any(letter.isdigit() for letter in price):
            self.findings.add("row left out", "note", "the headings stand here once more, and are left out", row=row.number)
            return True
        return False

    def _is_cut_in_two(self, row: Row) -> bool:
        """A decimal comma that is not quoted, in a file of commas: one cell more than in other rows."""
        if not self.known_width:
            self.known_width = max(len(row.cells), self.width)
        filled = len(row.cells)
        if filled <= self.known_width:
            return False
        while not row.cells[filled - 1]:
            filled -= 1
        if filled <= self.known_width:
            return False
        hint = ""
        for place in range(len(row.cells) - 1):
            one, two = row.cells[place : place + 2]
            if one.isdigit() and two.isdigit() and len(one) <= 4:
                hint = f": {one} and {two} may be {one},{two}, cut in two"
        self.findings.add(
            "too many cells", "error", f"{filled} cells where there are {self.known_width} columns{hint}",
            "a cell with the delimiter in it must be quoted: ask for the file with semicolons, or as a workbook", row.number,
        )  # fmt: skip
        return True

    def _codes(self, row: int, code: str, country: str) -> list[str]:
        try:
            codes = codes_of(code, country, self.mapping.dash)
        except BadCode as wrong:
            name = "prefix" if self.code is not None else "city_code" if self.city is not None else "country_code"
            self.findings.add("code", "error", wrong.what, wrong.do, row, self.names.get(name, ""))
            return []
        if code.startswith(("+", "0")) or country.startswith(("+", "0")):
            self.findings.add("+ or 00", "note", f"{(country + ' ' + code).strip()[:40]!r} is taken as {codes[0]}", row=row)
        return codes

    def _amount(self, row: int, name: str, text: str) -> int | None:
        known = self._numbers if type(text) is Number else self._prices
        found = known.get(text)
        if found is None:
            found = known[text] = self._nanos(text)
        if isinstance(found, int):
            if found == 0 and name == "price_per_min":
                self.findings.add("free", "warning", "the price is 0", "ask the carrier whether the code is free, or closed", row, self.names[name])
            return found
        what, _, do = found.partition("|")
        if what.startswith("currency "):
            self._other_currency(row, name, what.removeprefix("currency "))
        else:
            self.findings.add("price", "error", what, do, row, self.names[name])
        return None

    def _nanos(self, text: str) -> int | str:
        """The nanos of an amount, or what is wrong with it | what to do."""
        if not text:
            return "the price is empty|fill it, or say in a column of changes that the code is closed"
        bare, unit = (text, "") if type(text) is Number else bare_amount(text)
        if unit and unit != self.currency:
            return f"currency {unit}"
        try:
            if type(text) is Number:
                value = Decimal(text)
            else:
                value = number(bare.replace(" ", " ").strip(), self.mapping.decimal, self.mapping.thousands)
        except ValueError as wrong:
            words = str(wrong)
            if "out of range" in words:
                return f"{text[:40]!r} is beyond the range of a price|ask the carrier what he means"
            return f"{text[:40]!r} is not an amount|" + (words.partition("; ")[2] or (words if "where the mapping" in words else "write a number"))
        if value < 0:
            return f"{text[:40]!r} is negative|ask the carrier what he means; a code that is closed is named so in a column of changes"
        if self.mapping.price_per == "second":
            value *= 60
        if self.mapping.round_decimals is not None:
            value = value.quantize(Decimal(1).scaleb(-self.mapping.round_decimals), ROUND_HALF_UP)
        try:
            nanos = to_nanos(value)
        except ValueError as wrong:
            if "decimals" in str(wrong):
                return f"{text[:40]!r} has more than 9 decimals|agree on how prices are rounded, and say it: round_decimals in the mapping"
            return f"{text[:40]!r} is beyond the range of a price|ask the carrier what he means"
        if nanos > MAX_PRICE:
            return f"{text[:40]!r} is beyond the range of a price|ask the carrier what he means"
        return nanos

    def _increments(self, row: int, cells: list[str]) -> tuple[int | None, int | None]:
        if self.both is not None:
            return self._steps_of(row, "increments", cells[self.both])
        first, following = 1, 1
        if self.first is not None and cells[self.first]:
            one, _ = self._steps_of(row, "first_s", cells[self.first])
            if one is None:
                return None, None
            first = following = one
        if self.next is not None and cells[self.next]:
            two, _ = self._steps_of(row, "next_s", cells[self.next])
            if two is None:
                return None, None
            following = two
            first = first if self.first is not None and cells[self.first] else two
        return first, following

    def _steps_of(self, row: int, name: str, text: str) -> tuple[int, int] | tuple[None, None]:
        if not text:
            return 1, 1
        found = self._steps.get(text)
        if found is None:
            try:
                found = increments(text)
            except ValueError as wrong:
                found = str(wrong)
            self._steps[text] = found
        if isinstance(found, str):
            self.findings.add("increment", "error", found, "write the seconds as 60/1", row, self.names[name])
            return None, None
        return found

    def _date(self, row: int, name: str, text: str, otherwise: int) -> int | None:
        if not text:
            return otherwise
        if text in self._dates:
            found = self._dates[text]
            return otherwise if found is None else found
        try:
            found = self._dates[text] = date_ms(text, self.mapping.date_format, self.zone)
        except ValueError as wrong:
            self.findings.add("date", "error", str(wrong), "correct it, or say date_format in the mapping", row, self.names[name])
            return None
        return otherwise if found is None else found

    def _other_currency(self, row: int, name: str, text: str) -> None:
        known = text.upper() if text.upper() in CURRENCIES else repr(text[:10])
        self.findings.add(
            "currency", "error", f"the row is in {known}, and the deck in {self.currency}",
            "one deck has one currency: import the rows of each by themselves", row, self.names[name],
        )  # fmt: skip


def _in_order(rates: list[Rate], findings: Findings) -> list[Rate]:
    """In the order of codes, conditions and times, each once at a time. A later price ends an earlier one that has no end of its own."""
    rates.sort(key=lambda rate: (rate.prefix, rate.condition, rate.from_ms, rate.row))
    found: list[Rate] = []
    for rate in rates:
        last = found[-1] if found else None
        if last is None or last.prefix != rate.prefix or last.to_ms <= rate.from_ms or last.condition != rate.condition:
            found.append(rate)
        elif last[3:] == rate[3:]:
            findings.add("duplicate", "note", f"code {rate.prefix} stands in row {last.row} with the same price already", row=rate.row)
        elif last.from_ms < rate.from_ms and last.to_ms == FOREVER_MS:
            found[-1] = last._replace(to_ms=rate.from_ms)
            found.append(rate)
        elif last.from_ms == rate.from_ms:
            findings.add(
                "duplicate", "error", f"code {rate.prefix} has another price in row {last.row} for the same time", "take one of them out",
                row=rate.row,
            )  # fmt: skip
        else:
            findings.add(
                "overlap", "error", f"code {rate.prefix} begins before its price in row {last.row} ends",
                "end the earlier one when the later one begins", row=rate.row,
            )  # fmt: skip
    return found
