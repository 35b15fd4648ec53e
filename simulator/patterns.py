"""Number patterns: the subset of regular expressions that numbering plans use, to list prefixes and to draw random numbers.

Digits, `\\d`, `[2-57]`, groups with `|`, `?` and `{m,n}`: `phonenumbers` uses no other syntax.
"""

from __future__ import annotations

from functools import lru_cache
from random import Random
from typing import NamedTuple

DIGITS = "0123456789"


class Node(NamedTuple):
    """`set`: one of `digits`; `seq`: all of `parts` in order; `alt`: one of `parts`; `rep`: `parts[0]`, `low` to `high` times."""

    kind: str
    digits: str = ""
    parts: tuple[Node, ...] = ()
    low: int = 1
    high: int = 1


@lru_cache(maxsize=4096)
def parse(pattern: str) -> Node:
    """The tree of a pattern. Raises `ValueError` for other syntax.

    >>> parse("[2-4]").digits
    '234'
    """
    node, at = _alternatives(pattern, 0)
    if at != len(pattern):
        raise ValueError(f"{pattern!r}: cannot read {pattern[at]!r} at {at}")
    return node


def _alternatives(text: str, at: int) -> tuple[Node, int]:
    branches: list[Node] = []
    while True:
        parts: list[Node] = []
        while at < len(text) and text[at] not in "|)":
            one, at = _atom(text, at)
            one, at = _count(one, text, at)
            parts.append(one)
        branches.append(parts[0] if len(parts) == 1 else Node("seq", parts=tuple(parts)))
        if at < len(text) and text[at] == "|":
            at += 1
            continue
        return (branches[0] if len(branches) == 1 else Node("alt", parts=tuple(branches))), at


def _atom(text: str, at: int) -> tuple[Node, int]:
    char = text[at]
    if char in DIGITS:
        return Node("set", char), at + 1
    if text.startswith("\\d", at):
        return Node("set", DIGITS), at + 2
    if char == "[":
        end = text.index("]", at)
        return Node("set", _members(text[at + 1 : end])), end + 1
    if char == "(":
        node, at = _alternatives(text, at + (3 if text.startswith("(?:", at) else 1))
        if at >= len(text):
            raise ValueError(f"{text!r}: a bracket is not closed")
        return node, at + 1
    raise ValueError(f"{text!r}: cannot read {char!r} at {at}")


def _members(inside: str) -> str:
    found = ""
    at = 0
    while at < len(inside):
        if inside.startswith("\\d", at):
            found, at = found + DIGITS, at + 2
        elif inside[at + 1 : at + 2] == "-":
            found, at = found + DIGITS[int(inside[at]) : int(inside[at + 2]) + 1], at + 3
        else:
            found, at = found + inside[at], at + 1
    return found


def _count(node: Node, text: str, at: int) -> tuple[Node, int]:
    if at < len(text) and text[at] == "?":
        return Node("rep", parts=(node,), low=0, high=1), at + 1
    if at < len(text) and text[at] == "{":
        end = text.index("}", at)
        low, _, high = text[at + 1 : end].partition(",")
        return Node("rep", parts=(node,), low=int(low), high=int(high or low)), end + 1
    return node, at


def draw(node: Node, rng: Random) -> str:
    """A number of the pattern.

    >>> import re
    >>> pattern = "(?:7[1-3]|8\\\\d?)\\\\d{3,5}"
    >>> all(re.fullmatch(pattern, draw(parse(pattern), Random(i))) for i in range(100))
    True
    """
    if node.kind == "set":
        return node.digits[int(rng.random() * len(node.digits))]
    if node.kind == "alt":
        return draw(node.parts[int(rng.random() * len(node.parts))], rng)
    if node.kind == "rep":
        times = node.low if node.low == node.high else rng.randint(node.low, node.high)
        return "".join([draw(node.parts[0], rng) for _ in range(times)])
    return "".join([draw(part, rng) for part in node.parts])


def beginnings(node: Node, depth: int) -> frozenset[str]:
    """The possible first `depth` digits of numbers of the pattern.

    >>> sorted(beginnings(parse("7[1-3]\\\\d{4}|80?"), 2))
    ['71', '72', '73', '8', '80']
    """
    if node.kind == "set":
        return frozenset(node.digits) if depth else frozenset(("",))
    if node.kind == "alt":
        return frozenset().union(*(beginnings(part, depth) for part in node.parts))
    if node.kind == "rep":
        found: frozenset[str] = frozenset()
        for times in range(node.low, min(node.high, max(depth, node.low)) + 1):
            found |= _chain((node.parts[0],) * times, depth)
        return found
    return _chain(node.parts, depth)


def _chain(parts: tuple[Node, ...], depth: int) -> frozenset[str]:
    so_far = {""}
    for part in parts:
        if all(len(one) >= depth for one in so_far):
            break
        so_far = {one + more for one in so_far for more in (beginnings(part, depth - len(one)) if len(one) < depth else ("",))}
    return frozenset(so_far)


def compact(prefixes: frozenset[str]) -> frozenset[str]:
    """The fewest prefixes that cover the same numbers: ten children become their parent.

    >>> sorted(compact(frozenset(DIGITS[i] + d for i in (1, 2) for d in DIGITS if i == 1 or d != "9")))[:3]
    ['1', '20', '21']
    """
    found = set(prefixes)
    for length in range(max((len(one) for one in found), default=0), 1, -1):
        for parent in {one[:-1] for one in found if len(one) == length}:
            children = {parent + digit for digit in DIGITS}
            if children <= found:
                found = (found - children) | {parent}
    return frozenset(one for one in found if not any(one[:cut] in found for cut in range(1, len(one))))
