"""The chain of causes of an error."""

from __future__ import annotations

from collections.abc import Iterator


def causes(error: BaseException) -> Iterator[BaseException]:
    """The error, its cause, and so on, as a traceback shows them; `from None` ends the chain.

    >>> try:
    ...     raise ValueError("the bug") from OSError("the disk")
    ... except ValueError as error:
    ...     [str(one) for one in causes(error)]
    ['the bug', 'the disk']
    """
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
