"""Tables in a PDF as rows of cells, by where their words stand on the page: a carrier that sends its invoice as nothing else is compared too.

A PDF knows no cells. The line of headings says how many columns there are; the lines under it say where one ends and the next begins (`edges`, which
a person can correct in the layout).
"""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from assurance.reconcile.layout import Kind, Layout, fields_of
from rating.offers.finding import refused
from rating.offers.table import Row, Table, open_table

MAGIC = b"%PDF"
MOST_PAGES = 300
SAME_LINE_PT = 3.0
CELL_GAP = 0.5
"""A space so many times as wide as the text is high parts two cells; a smaller one, two words."""
FOOTER = re.compile(r"^(?:page|seite|página|pagina)\b.*\d|^\d+\s*(?:/|of|von)\s*\d+$", re.IGNORECASE)


class Cell(NamedTuple):
    """A text of a line, from where to where on the page, in points."""

    text: str
    left: float
    right: float


def open_file(content: bytes, kind: Kind, layout: Layout | None = None) -> tuple[Table, tuple[float, ...]]:
    """The table in a file of theirs, whatever it is, and the edges of its columns if it is a PDF. Raises `OfferError`."""
    if not content.startswith(MAGIC):
        return open_table(content, layout), ()
    return open_pdf(content, kind, layout.pdf_edges if layout else (), layout.ignore if layout else ())


def open_pdf(content: bytes, kind: Kind, edges: Sequence[float] = (), ignore: Sequence[str] = ()) -> tuple[Table, tuple[float, ...]]:
    """The rows of a PDF, and the edges between its columns: `edges`, or as they follow from its headings. Lines that begin with a word of `ignore`,
    page numbers, and what stands on every page again are left out. Raises `OfferError`."""
    pages = _pages(content)
    lines = [line for page in pages for line in page]
    if not lines:
        raise refused("picture", "the PDF has no text: it is a picture of an invoice", "ask for the file as CSV or .xlsx, or as a PDF with text")
    again = Counter(" ".join(cell.text for cell in line) for page in pages for line in {tuple(one) for one in page})
    used: set[str] = set()
    kept: list[list[Cell]] = []
    for line in lines:
        text = " ".join(cell.text for cell in line)
        repeated = len(pages) > 1 and again[text] == len(pages)
        if FOOTER.match(text) or text in used or any(text.startswith(word) for word in ignore):
            continue
        used |= {text} if repeated else set()
        kept.append(line)
    found = tuple(edges) or _edges(kept, lambda texts: _columns_of(texts, kind))
    rows = [Row(number, _cells(line, found) if found else [cell.text for cell in line]) for number, line in enumerate(kept, 1)]

    def again_from_first() -> Iterator[Row]:
        return iter(rows)

    why = "as the layout says" if edges else "by its line of headings"
    return Table(again_from_first, (f"PDF of {len(pages)} pages, {len(found) + 1} columns {why}",)), found


def _pages(content: bytes) -> list[list[list[Cell]]]:
    """Of each page its lines, of each line its cells."""
    import pdfplumber
    from pdfminer.pdfdocument import PDFPasswordIncorrect
    from pdfplumber.utils.exceptions import PdfminerException

    try:
        with pdfplumber.open(io.BytesIO(content)) as pdf:
            if len(pdf.pages) > MOST_PAGES:
                raise refused("too large", f"the PDF has {len(pdf.pages)} pages, and {MOST_PAGES} are read at most", "ask for the file as CSV")
            return [_lines(page.extract_words(keep_blank_chars=False, extra_attrs=[])) for page in pdf.pages]
    except PdfminerException as wrong:
        if wrong.args and isinstance(wrong.args[0], PDFPasswordIncorrect):
            raise refused("password", "the PDF has a password", "save it without one") from None
        raise refused("broken file", f"the PDF cannot be read: {wrong}", "ask for the file again") from None


def _lines(words: list[dict[str, Any]]) -> list[list[Cell]]:
    found: list[list[Cell]] = []
    line: list[dict[str, Any]] = []
    for word in sorted(words, key=lambda one: (round(one["bottom"] / SAME_LINE_PT), one["x0"])):
        if line and abs(word["bottom"] - line[-1]["bottom"]) > SAME_LINE_PT:
            found.append(_joined(line))
            line = []
        line.append(word)
    return [*found, _joined(line)] if line else found


def _joined(words: list[dict[str, Any]]) -> list[Cell]:
    """Words that stand close together as one cell."""
    cells: list[Cell] = []
    for word in sorted(words, key=lambda one: float(one["x0"])):
        last = cells[-1] if cells else None
        if last and word["x0"] - last.right <= CELL_GAP * (word["bottom"] - word["top"]):
            cells[-1] = Cell(f"{last.text} {word['text']}", last.left, word["x1"])
        else:
            cells.append(Cell(word["text"], word["x0"], word["x1"]))
    return cells


def _columns_of(texts: list[str], kind: Kind) -> int:
    """How many different columns the texts of a line name."""
    return len({found[0][1] for text in texts if (found := fields_of(text, kind))})


def _edges(lines: list[list[Cell]], names: Callable[[list[str]], int]) -> tuple[float, ...]:
    """The edges between columns: half-way between what stands in one and what stands in the next, headings and values.

    >>> heads = [Cell("Destination", 50, 100), Cell("Minutes", 200, 235), Cell("Amount", 300, 340)]
    >>> _edges([heads, [Cell("Austria", 50, 82), Cell("1,234.5", 195, 235), Cell("9.90", 320, 340)]], len)
    (147.5, 267.5)
    """
    best = max(range(len(lines)), key=lambda place: (names([cell.text for cell in lines[place]]), -place))
    if names([cell.text for cell in lines[best]]) < 2:
        return ()
    columns = [[cell.left, cell.right] for cell in lines[best]]
    heads = [tuple(one) for one in columns]
    for line in lines[best + 1 :]:
        if len(line) != len(heads):
            continue  # a line with cells that are empty, or none of the table
        for place, cell in enumerate(line):
            left, right = heads[place]
            if cell.left < right and left < cell.right:
                columns[place] = [min(columns[place][0], cell.left), max(columns[place][1], cell.right)]
    return tuple(round((one[1] + other[0]) / 2, 1) for one, other in pairwise(columns))


def _cells(line: list[Cell], edges: Sequence[float]) -> list[str]:
    """
    >>> _cells([Cell("Port fee", 50, 90), Cell("50.00", 315, 340)], (147.5, 267.5))
    ['Port fee', '', '50.00']
    """
    cells = [""] * (len(edges) + 1)
    for cell in line:
        place = bisect_right(edges, (cell.left + cell.right) / 2)
        cells[place] = f"{cells[place]} {cell.text}".strip()
    return cells
