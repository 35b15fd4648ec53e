"""What `up` shows: a line that lives at the bottom, and above it what happened. Without a terminal, a plain line now and then."""

from __future__ import annotations

import errno
import time
from collections.abc import Mapping, Sequence
from types import TracebackType

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from core.money import to_decimal
from core.orders import BlockOrder, Finding
from core.text import amount, clock, span
from ringfence.ops import redaction
from ringfence.ops.live_counts import LiveCounts

PLAIN_EVERY_S = 5.0
"""Without a terminal."""


BLOCK_WORDS = {"standing": "standing", "shadow": "in shadow", "waiting": "waiting for a person"}


def block_words(counts: Mapping[str, int]) -> str:
    """Blocked keys by status, for a line of `status` or of `up`.

    >>> block_words({"standing": 6, "shadow": 0, "waiting": 2}), block_words({"shadow": 1}), block_words({})
    ('6 standing, 2 waiting for a person', '0 standing, 1 in shadow', '0 standing')
    """
    return ", ".join(f"{counts.get(name, 0):,} {words}" for name, words in BLOCK_WORDS.items() if counts.get(name) or name == "standing")


class Terminal:
    """Prints what happens, and keeps the line."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._live = Live(console=console, auto_refresh=False, transient=True) if console.is_terminal else None
        self._plain_at_s = 0.0

    def __enter__(self) -> Terminal:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str, style: str = "") -> None:
        self._print(Text(text, style=style))

    def event(self, text: str, style: str = "") -> None:
        """What happens, with numbers in it: whole for a person who sits there, masked where the output is a log."""
        self.say(text if self._live else redaction.text(text), style)

    def _print(self, what: Text | str) -> None:
        try:
            self.console.print(what, soft_wrap=True)
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            # The output is a file on a full disk: nobody reads it, and calls must go on being judged.

    def alert(self, finding: Finding) -> None:
        """A finding, with its reason in words."""
        self.event(f"{clock(finding.detected_at_ms)}  ALERT  {finding.reason}", "bold yellow")

    def block(self, order: BlockOrder) -> None:
        """An order on its way to the switches; its reason is the alert's. One that a person decides on waits in the books."""
        key = order.key
        who = f"account {key.account}" if key.account else f"trunk {key.ingress_trunk}"
        caller = f", caller {key.a_number}" if key.a_number else ""
        to = f", to {key.b_range}..." if key.b_range else ", to every number"
        life = span(order.expires_at_ms - order.learned_ms)
        verb = "ASK  " if order.ask else "ORDER"  # what became of it is in the books: a person may have lifted its key
        self.event(f"{clock(order.created_at_ms)}  {verb}  {who}{caller}{to} for {life}   {key.text()}", "bold red")

    def line(
        self, counts: LiveCounts, blocks: Mapping[str, int], parts: Mapping[str, bool], now_ms: int, silent: Sequence[str] = ()
    ) -> None:
        """The line that lives. `blocks`: by status. `silent`: parts that hang."""
        records_s, sold = counts.rates(now_ms)
        earned = " + ".join(f"{amount(to_decimal(round(nanos)), 3)} {currency}" for currency, nanos in sorted(sold.items())) or "0"
        facts = [
            ("sold/s", earned),
            ("in flight", f"{counts.in_flight:,}"),
            ("received", f"{counts.received:,} ({records_s:,.0f}/s)"),
            ("rated", f"{counts.total('rated'):,}"),
            ("alerts", f"{len(counts.alert_ids):,}"),
            ("blocks", block_words(blocks)),
            ("refused", f"{counts.refused:,}"),
            ("lag", f"{counts.lag():,}"),
        ]
        down = [name for name, alive in parts.items() if not alive]
        ill = ["down: " + ", ".join(down)] * bool(down) + ["hangs: " + ", ".join(silent)] * bool(silent)
        ill += ["away: journal"] * bool(counts.away)
        if self._live:
            text = Text("  ").join(Text.assemble((f"{name} ", "dim"), (value, "bold")) for name, value in facts)
            rest = [Text("  ".join(ill), style="bold red")] if ill else []
            self._live.update(Group(Text(f"{clock(now_ms)}  ", style="dim") + text, *rest), refresh=True)
        elif time.monotonic() - self._plain_at_s >= PLAIN_EVERY_S:
            self._plain_at_s = time.monotonic()
            ends = [one[:5].upper() + one[5:] for one in ill]
            self._print("  ".join([clock(now_ms), *(f"{name} {value}" for name, value in facts), *ends]))
