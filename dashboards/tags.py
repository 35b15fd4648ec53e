"""HTML with all text escaped: what a caller or a customer wrote is shown as text.

>>> print(tag("b", "<script>", cls="x"))
<b class="x">&lt;script&gt;</b>
>>> print(tag("p", "a", tag("i", "b & c"), title='"'))
<p title="&quot;">a<i>b &amp; c</i></p>
"""

from __future__ import annotations

import html

from core.text import visible


class Safe(str):
    """HTML made by `tag` or `joined`: every text in it is escaped."""

    __slots__ = ()


def tag(name: str, *children: str, cls: str = "", **attributes: str) -> Safe:
    """An element. `Safe` children are nested; other text is escaped, and invisible characters are shown."""
    shown = "".join(f' {key}="{html.escape(visible(value))}"' for key, value in {"class": cls, **attributes}.items() if value)
    return Safe(f"<{name}{shown}>{joined(*children)}</{name}>")


def joined(*children: str) -> Safe:
    """Elements and texts, concatenated."""
    return Safe("".join(child if isinstance(child, Safe) else html.escape(visible(child)) for child in children))
