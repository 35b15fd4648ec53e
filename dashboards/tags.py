"""HTML from text, never from text as it came: whatever a caller or a customer wrote is shown as text.

>>> print(tag("b", "<script>", cls="x"))
<b class="x">&lt;script&gt;</b>
>>> print(tag("p", "a", tag("i", "b & c"), title='"'))
<p title="&quot;">a<i>b &amp; c</i></p>
"""

from __future__ import annotations

import html

from core.text import visible


class Safe(str):
    """HTML that may be shown: made by `tag`, so that nobody's text is in it unescaped."""

    __slots__ = ()


def tag(name: str, *children: str, cls: str = "", **attributes: str) -> Safe:
    """An element. Children that are `Safe` are nested; any other text is escaped, and what hides in it is made visible."""
    said = "".join(f' {key}="{html.escape(visible(value))}"' for key, value in {"class": cls, **attributes}.items() if value)
    return Safe(f"<{name}{said}>{together(*children)}</{name}>")


def together(*children: str) -> Safe:
    """Elements and texts after one another."""
    return Safe("".join(child if isinstance(child, Safe) else html.escape(visible(child)) for child in children))
