"""The operators on SQL: in the string literals of an item, and in the schema.

A condition is not taken away but made true or false beside what stands there, so that the statement keeps its parameters.
"""

import re

from mutation.operators import Edit, operator
from mutation.source import STRINGS, Stale

SIGN = r"<>|<=|>=|=|<|>|IS NOT DISTINCT FROM|IS DISTINCT FROM|IS NOT|IS"
OPERAND = r"CASE\b.*?\bEND\b|\$\d+|'[^']*'|[\w.]+(?:\(\))?"
WORDS = re.compile(r"\b(SET|WHERE|AND|OR|ON|WHEN|HAVING|SELECT|VALUES)\b")


def literals(scope):
    """Each string literal of the item, with its text as the source has it."""
    return [(leaf, leaf.text.decode()) for leaf in scope.leaves if leaf.type in STRINGS]


def column(name):
    """A column, as it is named with its table's alias or without."""
    return rf"(?<![\w.$])(?:\w+\.)?{re.escape(name)}(?:\(\))?" if "." not in name else rf"(?<![\w.]){re.escape(name)}"


def at(leaf, found, text, start=None, end=None):
    """An edit of what a pattern found in a literal."""
    begin, stop = found.start() if start is None else start, found.end() if end is None else end
    # Offsets of characters, where a file has bytes.
    prefix = leaf.text.decode()
    return Edit(leaf.start_byte + len(prefix[:begin].encode()), leaf.start_byte + len(prefix[:stop].encode()), text)


def assigns(text, position):
    """Whether what stands at a position is an assignment of `SET`, and no condition."""
    before = [match[1] for match in WORDS.finditer(text[:position])]
    # Where a literal goes on with an assignment, it begins with the comma before it.
    return before[-1] == "SET" if before else text.lstrip('"').startswith(",")


def conditions(scope, name):
    pattern = re.compile(rf"{column(name)}\s*(?P<sign>{SIGN})\s*(?P<right>{OPERAND})?", re.S)
    for leaf, text in literals(scope):
        for found in pattern.finditer(text):
            if not assigns(text, found.start()):
                yield leaf, found


def assignments(scope, name):
    """Assignments of a column, each with where its value ends."""
    for leaf, text in literals(scope):
        for found in re.finditer(rf"(?<![\w.$]){re.escape(name)}\s*=\s*", text):
            if assigns(text, found.start()):
                yield leaf, found, value_end(text, found.end())


@operator("sql-true", "COLUMN")
def sql_true(scope, name):
    """The condition on COLUMN always holds."""
    for leaf, found in conditions(scope, name):
        if found["right"]:
            yield leaf, [at(leaf, found, f"({found[0]} OR 1 = 1)")]


@operator("sql-false", "COLUMN")
def sql_false(scope, name):
    """The condition on COLUMN never holds."""
    for leaf, found in conditions(scope, name):
        if found["right"]:
            yield leaf, [at(leaf, found, f"({found[0]} AND 1 = 0)")]


@operator("sql-compare", "COLUMN", "SIGN", "SIGN")
def sql_compare(scope, name, old, new):
    """The first sign behind COLUMN becomes the second."""
    for leaf, found in conditions(scope, name):
        if found["sign"] == old:
            yield leaf, [at(leaf, found, new, found.start("sign"), found.end("sign"))]


@operator("sql-true-exists", "TABLE")
def sql_true_exists(scope, table):
    """The condition `EXISTS`, or `NOT EXISTS`, on TABLE always holds."""
    for leaf, text in literals(scope):
        for found in re.finditer(rf"(?:NOT )?EXISTS \(SELECT [^()]*? FROM {table}\b", text):
            end = closing(text, text.index("(", found.start()))
            yield leaf, [at(leaf, found, f"({text[found.start():end]} OR 1 = 1)", end=end)]


@operator("sql-keep", "COLUMN")
def sql_keep(scope, name):
    """`SET` leaves COLUMN as it was."""
    for leaf, found, end in assignments(scope, name):
        kept = f"CASE WHEN 1 = 0 THEN {found.string[found.end():end]} ELSE {name} END"
        yield leaf, [at(leaf, found, kept, found.end(), end)]


@operator("sql-zero", "COLUMN")
def sql_zero(scope, name):
    """`SET` makes COLUMN zero."""
    for leaf, found, end in assignments(scope, name):
        yield leaf, [at(leaf, found, f"{found.string[found.end():end]} * 0", found.end(), end)]


@operator("sql-add", "COLUMN", "NUMBER")
def sql_add(scope, name, number):
    """What is added to COLUMN is NUMBER."""
    for leaf, text in literals(scope):
        for found in re.finditer(rf"{column(name)}\s*\+\s*(\d+)", text):
            yield leaf, [at(leaf, found, number, found.start(1), found.end(1))]


@operator("sql-unlock", "TABLE")
def sql_unlock(scope, alias):
    """The lock on the rows of TABLE, by its alias, is not taken."""
    for leaf, text in literals(scope):
        for found in re.finditer(rf" ?FOR (?:NO KEY UPDATE|KEY SHARE|UPDATE|SHARE) OF {alias}\b", text):
            yield leaf, [at(leaf, found, "")]


@operator("sql-drop-word", "WORD")
def sql_drop_word(scope, word):
    """The WORD goes."""
    for leaf, text in literals(scope):
        for found in re.finditer(rf" ?\b{word}\b", text):
            yield leaf, [at(leaf, found, "")]


@operator("sql-setting", "NAME", "VALUE")
def sql_setting(scope, name, value):
    """The session's setting NAME is VALUE."""
    for leaf, text in literals(scope):
        for found in re.finditer(rf"\b{name}\s*(?:=|TO)\s*'?(\w+)'?", text):
            yield leaf, [at(leaf, found, value, found.start(1), found.end(1))]


def without_reference(schema, place):
    """The schema without the foreign key of TABLE.COLUMN, or `Stale`."""
    table, _, name = place.partition(".")
    body = re.search(rf"^CREATE TABLE {table} \((.*?)^\)", schema, re.M | re.S)
    found = body and list(re.finditer(rf"^\s*{name}\s[^\n]*?( REFERENCES \w+ \(\w+\))", body[1], re.M))
    if not found or len(found) != 1:
        raise Stale(f"the schema has no column {place} with a foreign key: name the column that refers now")
    start = body.start(1)
    return schema[:start + found[0].start(1)] + schema[start + found[0].end(1):]


def closing(text, opened):
    """Behind the parenthesis that closes the one at a position."""
    depth = 0
    for position in range(opened, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position + 1
    raise Stale("a parenthesis is closed in another literal")


def value_end(text, begun):
    """Where the value of an assignment ends: at a comma, `WHERE`, `RETURNING` or the end of the literal."""
    depth = 0
    for position in range(begun, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth < 0 or depth == 0 and re.match(r",|\"|\s*\\?\s+(?:WHERE|RETURNING|FROM)\b", text[position:]):
            return position
    return len(text)
