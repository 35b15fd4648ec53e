"""Do the tests notice? One-token faults are put into the rules, one at a time, and the tests of their own room must fail.

    python tests/mutants.py [FILE or FOLDER ...] [--count 200] [--seed 1] [--minutes 30] [--since REVISION] [--workers 2]

A sample by seed, files that changed since a revision first. A fault is another comparison, `and` for `or`, a constant and one more, another
arithmetic, a `not` less, or a `return` of nothing. A fault that no test notices becomes a test, or its line goes; one that changes nothing
that anybody could see is listed in `mutants.toml` with the reason. Ends with 1 where less than 90 % are noticed.

mutmut and cosmic-ray do not fit: the first leaves out decorated functions and what stands outside of functions (a third of the rules),
neither takes a sample by seed or knows which tests belong to a room.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from queue import SimpleQueue

ROOT = Path(__file__).parents[1]
EQUIVALENT = "tests/mutants.toml"
ROOMS = ("core", "rating", "detectors", "assurance", "switches/deliver.py")
"""Folders and files with rules; the tests of a room are its doctests and `tests/ROOM`."""
DATA = frozenset({"core/numbering_data.py", "core/schemas.py", "core/topics.py"})
"""Tables: a fault in them is not a rule's."""
NOTICED_AT_LEAST = 0.9

OTHER = {
    ast.Lt: ("<", "<="), ast.LtE: ("<=", "<"), ast.Gt: (">", ">="), ast.GtE: (">=", ">"), ast.Eq: ("==", "!="), ast.NotEq: ("!=", "=="),
    ast.In: ("in", "not in"), ast.NotIn: ("not in", "in"), ast.Is: ("is", "is not"), ast.IsNot: ("is not", "is"),
    ast.And: ("and", "or"), ast.Or: ("or", "and"),
    ast.Add: ("+", "-"), ast.Sub: ("-", "+"), ast.Mult: ("*", "//"), ast.FloorDiv: ("//", "*"), ast.Div: ("/", "*"), ast.Mod: ("%", "//"),
    ast.BitAnd: ("&", "|"), ast.BitOr: ("|", "&"), ast.LShift: ("<<", ">>"), ast.RShift: (">>", "<<"),
}  # fmt: skip


@dataclass(frozen=True)
class Fault:
    """Bytes of a file and what stands there instead."""

    file: str  # relative to the root
    line: int
    start: int
    end: int
    becomes: bytes
    was_line: str  # stripped
    becomes_line: str

    def place(self) -> tuple[str, str, str]:
        """What names it in `mutants.toml`, wherever in its file the line stands."""
        return self.file, self.was_line, self.becomes_line

    def __str__(self) -> str:
        return f"{self.file}:{self.line}\n    - {self.was_line}\n    + {self.becomes_line}"


def faults_of(file: str, source: bytes) -> list[Fault]:
    """Every fault that can be put into a file, in its order."""
    starts = [0]
    for text in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(text))
    found = dict[tuple[int, int, bytes], Fault]()
    for node in _rules(ast.parse(source)):
        for start, end, becomes in _edits(node, source, starts):
            line = next(n for n, at in enumerate(starts, 1) if start < at) - 1
            first, last = starts[line - 1], source.find(b"\n", end)
            changed = source[first:start] + becomes + source[end:last]
            was, now = (b" ".join(text.split()).decode() for text in (source[first:last], changed))
            found.setdefault((start, end, becomes), Fault(file, line, start, end, becomes, was, now))
    return sorted(found.values(), key=lambda fault: (fault.start, fault.becomes))


def _rules(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes that decide something: no types, no decorators, no words of an error, no texts, no assertions (`strict=` is one)."""
    for field, value in ast.iter_fields(node):
        if field in ("annotation", "returns", "decorator_list", "type_params", "bases") or (isinstance(node, ast.ClassDef) and field == "keywords"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert) or not isinstance(child, ast.AST):
                continue
            if isinstance(child, ast.keyword) and child.arg == "strict":
                continue
            yield child
            yield from _rules(child)


def _edits(node: ast.AST, source: bytes, starts: list[int]) -> Iterator[tuple[int, int, bytes]]:
    def begin(of: ast.expr) -> int:
        return starts[of.lineno - 1] + of.col_offset

    def end(of: ast.expr) -> int:
        return starts[(of.end_lineno or of.lineno) - 1] + (of.end_col_offset or 0)

    def between(left: ast.expr, operator: ast.AST, right: ast.expr) -> Iterator[tuple[int, int, bytes]]:
        if type(operator) not in OTHER:
            return
        sign, other = OTHER[type(operator)]
        pattern = rb"\b" + sign.replace(" ", r"\s+").encode() + rb"\b" if sign[0].isalpha() else re.escape(sign.encode())
        if at := re.compile(pattern).search(source, end(left), begin(right)):
            yield at.start(), at.end(), other.encode()

    match node:
        case ast.Compare(left=left, ops=operators, comparators=rights):
            for operand, operator, right in zip([left, *rights], operators, rights, strict=False):
                yield from between(operand, operator, right)
        case ast.BoolOp(op=operator, values=values):
            for left, right in pairwise(values):
                yield from between(left, operator, right)
        case ast.BinOp(left=left, op=operator, right=right):
            if not any(isinstance(side, ast.Constant | ast.JoinedStr) and not _is_number(side) for side in (left, right)):
                yield from between(left, operator, right)
        case ast.AugAssign(target=target, op=operator, value=value) if type(operator) in OTHER:
            sign, other = OTHER[type(operator)]
            if at := re.compile(re.escape(sign.encode() + b"=")).search(source, end(target), begin(value)):
                yield at.start(), at.end(), other.encode() + b"="
        case ast.UnaryOp(op=ast.Not()):
            yield begin(node), begin(node) + len(b"not"), b""
        case ast.Constant(value=bool() as value):
            yield begin(node), end(node), b"False" if value else b"True"
        case ast.Constant(value=int() as value):
            yield begin(node), end(node), str(value + 1).encode()
        case ast.Constant(value=float() as value):
            yield begin(node), end(node), repr(value + 1).encode()
        case ast.Return(value=ast.expr() as value) if not (isinstance(value, ast.Constant) and value.value is None):
            yield begin(value), end(value), b"None"


def _is_number(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float)


# --- which tests ---


def room_of(file: str) -> str:
    return file.partition("/")[0]


@cache
def _imported(tree: Path, file: str) -> frozenset[str]:
    """Files of this repository that a file imports by itself."""
    names = set[str]()
    for node in ast.walk(ast.parse((tree / file).read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    files = (name.replace(".", "/") + ending for name in names for ending in (".py", "/__init__.py"))
    return frozenset(file for file in files if (tree / file).is_file())


@cache
def reaches(tree: Path, file: str) -> frozenset[str]:
    """What a file imports, and what that imports, and so on; itself too."""
    found, left = {file}, [file]
    while left:
        for other in _imported(tree, left.pop()) - found:
            found.add(other)
            left.append(other)
    return frozenset(found)


@cache
def tests_of(tree: Path, file: str) -> tuple[str, ...]:
    """The doctests and test files of the room that reach a file; those that are named after it come first."""
    room, own = file.partition("/")[0], [file, f"tests/{file.partition('/')[0]}/test_{Path(file).stem}.py"]
    files = [path.relative_to(tree).as_posix() for path in (*tree.glob(f"{room}/*.py"), *tree.glob(f"tests/{room}/test_*.py"))]
    others = sorted((len(reaches(tree, other)), other) for other in files if other not in own and file in reaches(tree, other))
    return tuple(other for other in [*own, *(other for _, other in others)] if (tree / other).is_file())


# --- running them ---


@dataclass(frozen=True)
class Outcome:
    fault: Fault
    code: int  # pytest's: 0 nobody noticed, 1 a test failed, 2 it could not be collected; -1 it did not end in time
    seconds: float
    words: str


LIMIT_S = 240.0
"""A fault that makes the tests run for so long counts as noticed: somebody would see it."""
SLOW_S = 5.0
"""A test that takes longer is left out, but for faults in the file that it is named after."""
DURATION = re.compile(r"^(\d+\.\d+)s (?:setup|call|teardown) +(\S+?)::(\S+)$", re.MULTILINE)


def run_tests(tree: Path, tests: Sequence[str], limit_s: float, more: Sequence[str] = ()) -> tuple[int, float, str]:
    """pytest's code (-1: cut off after `limit_s`), how long it took, and what it printed."""
    environment = {**os.environ, "PYTHONPATH": str(tree), "POLARS_MAX_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    choice = ["-m", "not real and not kafka and not slow", "-x", "-q", "--no-header", "--tb=line", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *choice, "--hypothesis-seed=0", *more, *tests]
    began = time.monotonic()
    with subprocess.Popen(
        command, cwd=tree, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as child:
        try:
            words, _ = child.communicate(timeout=limit_s)
            code = child.returncode
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            words, code = child.communicate()[0], -1
    return code, time.monotonic() - began, words


def slow_tests(tree: Path, room: str) -> list[str]:
    """All tests of a room without any fault: they must pass. Which of them are slow."""
    files = [path.relative_to(tree).as_posix() for path in (*tree.glob(f"{room}/*.py"), *tree.glob(f"tests/{room}/test_*.py"))]
    code, _, words = run_tests(tree, sorted(files), 1800, ["--durations=0"])
    if code:
        raise SystemExit(f"without any fault the tests of {room} do not pass (pytest's code {code}):\n{words[-3000:]}")
    return [f"{file}::{test}" for took, file, test in DURATION.findall(words) if float(took) > SLOW_S]


def copy_tree(target: Path) -> Path:
    """What is in git's care or new, without what is made from it: a fault never touches the tree that people work in."""
    names = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in filter(None, names.stdout.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def put(tree: Path, file: str, content: bytes, clock: Iterator[int]) -> None:
    """Each version has a second of its own: what Python and numba have compiled goes by a file's time."""
    (tree / file).write_bytes(content)
    at = next(clock)
    os.utime(tree / file, (at, at))


def seconds() -> Iterator[int]:
    at = int(time.time())
    while True:
        at += 1
        yield at


def tried(fault: Fault, trees: SimpleQueue[tuple[Path, Iterator[int]]], slow: Mapping[str, list[str]], give_up: float) -> Outcome | None:
    """What the tests make of a fault; None = there was no time for it."""
    tree, clock = trees.get()
    try:
        if time.monotonic() > give_up:
            return None
        tests, source = tests_of(tree, fault.file), (tree / fault.file).read_bytes()
        own = f"/test_{Path(fault.file).stem}.py::"
        left_out = [f"--deselect={test}" for test in slow[fault.file.partition("/")[0]] if own not in test]
        put(tree, fault.file, source[: fault.start] + fault.becomes + source[fault.end :], clock)
        try:
            code, took_s, words = run_tests(tree, tests, LIMIT_S, left_out)
        finally:
            put(tree, fault.file, source, clock)
        if code == 4 and "while loading conftest" in words:
            code = 2  # the fault keeps the package from being imported at all
        if code not in (-1, 0, 1, 2, 5):
            raise SystemExit(f"pytest ended with {code} for {fault}:\n{words[-3000:]}")
        return Outcome(fault, 0 if code == 5 else code, took_s, words[-1500:])  # 5: the file has no test at all
    finally:
        trees.put((tree, clock))


# --- the sample ---


def equivalents(tree: Path) -> set[tuple[str, str, str]]:
    """What is known to change nothing: (file, line, line that it becomes). Every entry must still be a fault that can be made."""
    entries = tomllib.loads((tree / EQUIVALENT).read_text())["equivalent"]
    listed = {(entry["file"], entry["was"], entry["becomes"]) for entry in entries if entry["reason"].strip()}
    possible = {fault.place() for file in {file for file, _, _ in listed} if (tree / file).is_file() for fault in faults_in(tree, file)}
    if gone := sorted(listed - possible):
        raise SystemExit(f"{EQUIVALENT} lists what is not in the code any more:\n" + "\n".join(f"  {file}: {was}" for file, was, _ in gone))
    return listed


def faults_in(tree: Path, file: str) -> list[Fault]:
    return faults_of(file, (tree / file).read_bytes())


def files_with_rules(tree: Path) -> list[str]:
    found = [path for room in ROOMS for path in ([tree / room] if room.endswith(".py") else (tree / room).glob("*.py"))]
    return sorted(name for path in found if (name := path.relative_to(tree).as_posix()) not in DATA and path.name != "__init__.py")


def changed_since(revision: str) -> set[str]:
    names = subprocess.run(["git", "diff", "--name-only", revision], cwd=ROOT, capture_output=True, text=True)
    if names.returncode:
        raise SystemExit(f"--since {revision}: {names.stderr.strip()}")
    return set(names.stdout.split())


def sample(faults: list[Fault], first: set[str], count: int, seed: int) -> list[Fault]:
    """Faults by chance, those in files of `first` before the others: each file gets its share by how many rules it has."""
    every = list(faults)
    random.Random(seed).shuffle(every)
    return sorted(every, key=lambda fault: fault.file not in first)[:count]


def main() -> int:
    about = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    about.add_argument("files", nargs="*", help="files and folders with rules, relative to the repository; without any: all rooms")
    about.add_argument("--count", type=int, default=200)
    about.add_argument("--seed", type=int, default=1)
    about.add_argument("--minutes", type=float, default=30.0)
    about.add_argument("--since", default="HEAD~20", help="files that changed since this revision come first")
    about.add_argument("--workers", type=int, default=2)
    about.add_argument("--json", type=Path, help="also write every outcome there")
    asked = about.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        trees = SimpleQueue[tuple[Path, Iterator[int]]]()
        tree = copy_tree(Path(directory) / "0")
        trees.put((tree, seconds()))
        for number in range(1, asked.workers):
            trees.put((Path(shutil.copytree(tree, Path(directory) / str(number))), seconds()))
        known = equivalents(tree)
        chosen = [file for file in files_with_rules(tree) if not asked.files or any(Path(file).is_relative_to(one) for one in asked.files)]
        possible = [fault for file in chosen for fault in faults_in(tree, file) if fault.place() not in known]
        faults = sample(possible, changed_since(asked.since), asked.count, asked.seed)
        slow = {room: slow_tests(tree, room) for room in sorted({fault.file.partition("/")[0] for fault in faults})}
        outcomes = list[Outcome]()
        with ThreadPoolExecutor(asked.workers) as pool:
            for outcome in pool.map(lambda fault: tried(fault, trees, slow, began + 60 * asked.minutes), faults):
                if outcome:
                    outcomes.append(outcome)
                    if outcome.code == 0:
                        print(outcome.fault, flush=True)
    if not outcomes:
        raise SystemExit("no fault could be tried")
    noticed = sum(outcome.code != 0 for outcome in outcomes)
    share = noticed / len(outcomes)
    late = "" if len(outcomes) == len(faults) else f" (of {len(faults)}: the time was over)"
    print(f"{noticed} of {len(outcomes)} faults{late} were noticed: {share:.0%}, in {(time.monotonic() - began) / 60:.1f} minutes")
    if asked.json:
        facts = [{"fault": str(o.fault), "code": o.code, "seconds": round(o.seconds, 1), "words": o.words} for o in outcomes]
        asked.json.write_text(json.dumps(facts))
    return 0 if share >= NOTICED_AT_LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
