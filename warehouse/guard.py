"""Which statements the read-only server runs: one SELECT, SHOW, DESCRIBE, EXPLAIN or EXISTS that reads our tables, nothing else.

The engine's own parser decides, not a pattern: the text goes through `formatQuerySingleLine` (one statement, no comments, one
way to quote), the formatted text through `EXPLAIN AST`, and every node of the tree is checked. The formatted text is what runs.
The engine's `readonly` is the second barrier; by itself it allows INTO OUTFILE and `file()`, and at level 2 even
INSERT INTO FUNCTION file().
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from warehouse.errors import Refused
from warehouse.opening import DATABASE

READONLY, ACCESS_DENIED, SETTING_REFUSED = 164, 497, 452  # ClickHouse's numbers

DATABASES = frozenset({DATABASE, "system", "information_schema", "INFORMATION_SCHEMA"})
"""Without `default`: there the embedded engine reads any file of this machine as the table of that name."""

SYSTEM_TABLES_REFUSED = frozenset({"stack_trace", "zookeeper", "zookeeper_connection", "remote_data_paths"})

TABLE_FUNCTIONS = frozenset(
    {"numbers", "numbers_mt", "zeros", "zeros_mt", "values", "null", "generate_series", "generateseries", "primes"}
)
"""The allowed table functions: they generate rows. Every other one, also a future one, is refused."""

FUNCTIONS_REFUSED = frozenset(
    {
        "file",
        "sleep",
        "sleepeachrow",
        "catboostevaluate",
        "addresstoline",
        "addresstolinewithinlines",
        "addresstosymbol",
        "demangle",
    }
)

SETTINGS = re.compile(
    r"max_threads|max_block_size|max_execution_time|max_result_rows|max_result_bytes|max_memory_usage"
    r"|max_rows_to_read|max_bytes_to_read"
    r"|result_overflow_mode|final|optimize_\w+|query_plan_\w+|join_algorithm|join_use_nulls|any_join_distinct_right_table_keys"
    r"|group_by_\w+|extremes|session_timezone|date_time_output_format|date_time_input_format|output_format_\w+"
    r"|format_csv_delimiter|use_client_time_zone|prefer_column_name_to_alias|enable_analyzer|allow_experimental_analyzer"
    r"|low_cardinality_allow_in_native_format|cast_string_to_\w+|log_comment|union_default_mode|limit|offset|count_distinct_implementation|readonly"
)
"""The settings that a client may set for its query. Limits among them are lowered to ours, never raised."""

_ROOT = re.compile(r"(SelectWithUnionQuery|SelectIntersectExceptQuery|SelectQuery|Show\w+|DescribeQuery|Exists\w+|Explain)\b")
_ACTS = re.compile(
    r"(Insert|Create|Alter|Drop|Rename|Kill|System|Use|Optimize|Delete|Update|Grant|Backup|Copy|Undrop|Detach|Attach|Execute)\w*"
)
_VERBS = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "EXPLAIN", "EXISTS"})
_QUOTED = re.compile(r"'(?:[^'\\]|\\.|'')*'|`(?:[^`\\]|\\.|``)*`|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)


class Statement(NamedTuple):
    """A statement that may run."""

    sql: str
    format: str  # of its own FORMAT clause, or ""
    has_settings: bool


def check(
    sql: str, ask: Callable[[str, dict[str, str]], str], params: dict[str, str], table_functions: frozenset[str]
) -> Statement:
    """The statement to run, or `Refused`. `ask(sql, params)` runs a statement of ours and returns its TabSeparatedRaw text.

    `table_functions`: all of the engine, in lower case.
    """
    formatted = ask("SELECT formatQuerySingleLine({ringfence_sql:String})", {"ringfence_sql": _escaped(sql)}).removesuffix("\n")
    verb = formatted.lstrip("( ").partition(" ")[0].upper()
    if verb not in _VERBS:
        raise _not_a_query(verb or "an empty query")
    plain = _QUOTED.sub("?", formatted)
    if re.search(r"\bINTO OUTFILE\b", plain):
        raise Refused("INTO OUTFILE is refused: this server writes nothing", READONLY)
    tree = ask(f"EXPLAIN AST {formatted}", params).split("\n")
    _check_root(tree)
    _check_nodes(tree, table_functions)
    has_settings = _check_settings(tree, plain, explain=verb == "EXPLAIN")
    fmt = re.search(r"\bFORMAT (\w+)(?: SETTINGS .*)?$", plain)
    return Statement(formatted, fmt[1] if fmt else "", has_settings)


def check_setting(name: str) -> None:
    """Raises `Refused` for a setting that a query may not set.

    >>> check_setting("max_threads")
    >>> check_setting("format_schema")
    Traceback (most recent call last):
    ...
    warehouse.errors.Refused: the setting format_schema may not be changed on this server
    """
    if not SETTINGS.fullmatch(name):
        raise Refused(f"the setting {name[:100]} may not be changed on this server", SETTING_REFUSED)


def _not_a_query(what: str) -> Refused:
    return Refused(f"{what} is refused: this server answers SELECT, SHOW, DESCRIBE, EXPLAIN and EXISTS only", READONLY)


def _check_root(tree: list[str]) -> None:
    root = _ROOT.match(tree[0])
    if not root:
        raise _not_a_query(tree[0].split(" ")[0])
    if root[1] == "Explain":
        children = [line.strip() for line in tree[1:] if re.match(r" \S", line)]
        inner = next((child for child in children if child != "Set"), "")
        if not inner.startswith(("Select", "Explain")):
            raise Refused(f"EXPLAIN of {inner.split(' ')[0] or 'nothing'} is refused: only a SELECT is explained", READONLY)


def _check_nodes(tree: list[str], table_functions: frozenset[str]) -> None:
    parent: dict[int, str] = {}
    for line in tree:
        node = line.lstrip(" ")
        depth = len(line) - len(node)
        kind, _, rest = node.partition(" ")
        parent[depth] = kind
        name = re.sub(r" \((?:alias|children) .*$", "", rest)
        if _ACTS.fullmatch(kind):
            raise _not_a_query(kind)
        if kind == "Function":
            _check_function(name, parent.get(depth - 1, "") == "TableExpression", table_functions)
        elif kind in ("TableIdentifier", "Identifier"):
            _check_name(name, is_table=kind == "TableIdentifier", shows=tree[0].startswith(("Show", "Exists")))


def _check_function(name: str, in_from: bool, table_functions: frozenset[str]) -> None:
    lower = name.lower().strip("`")
    allowed = lower in TABLE_FUNCTIONS or (not in_from and lower == "format")
    if lower in FUNCTIONS_REFUSED or lower.startswith("ai") or ((in_from or lower in table_functions) and not allowed):
        raise Refused(f"the function {name[:100]} is refused: this server reads its own tables and nothing else", ACCESS_DENIED)


def _check_name(name: str, *, is_table: bool, shows: bool) -> None:
    database, dot, table = name.partition(".")
    # `default` alone is also the name of a column (system.settings), but not in SHOW CREATE and EXISTS.
    if (database == "default" and (dot or is_table or shows)) or (is_table and dot and database not in DATABASES):
        raise Refused(f"{name[:200]} is refused: this server reads the databases {DATABASE} and system", ACCESS_DENIED)
    if database == "system" and table in SYSTEM_TABLES_REFUSED:
        raise Refused(f"{name[:200]} is refused", ACCESS_DENIED)


def _check_settings(tree: list[str], plain: str, *, explain: bool) -> bool:
    nodes = sum(line.strip() == "Set" for line in tree)
    if not nodes:
        return False
    clauses = [plain[m.end() :] for m in re.finditer(r"\bSETTINGS ", plain)]
    if len(clauses) < nodes - explain:  # EXPLAIN formats its own options without SETTINGS
        raise Refused("a SETTINGS clause that cannot be read is refused", SETTING_REFUSED)
    for clause in clauses:
        names = _names_of(clause)
        if not names:
            raise Refused("a SETTINGS clause that cannot be read is refused", SETTING_REFUSED)
        for name in names:
            check_setting(name)
            if name.startswith(("max_", "readonly", "result_overflow")):
                raise Refused(f"the setting {name} may be set beside the query, not inside it", SETTING_REFUSED)
    return bool(clauses)


def _names_of(clause: str) -> list[str]:
    """Every name that a clause might set: too many are refused rather than one missed.

    >>> _names_of("max_threads = 1, final = 1) WHERE a = 2 AND b = ?")
    ['max_threads', 'final']
    """
    names: list[str] = []
    rest = clause
    while m := re.match(r"(\w[\w.]*) = ", rest):
        names.append(m[1])
        value = re.match(r"(?:[^,()\[\]{}]|\([^()]*\)|\[[^\[\]]*\]|\{[^{}]*\})*", rest[m.end() :])
        rest = rest[m.end() + (value.end() if value else 0) :]
        if not rest.startswith(", "):
            break
        rest = rest[2:]
    return names


def _escaped(text: str) -> str:
    """A value as a server-side parameter: with TSV's escapes."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n").replace("\r", "\\r").replace("\0", "\\0")
