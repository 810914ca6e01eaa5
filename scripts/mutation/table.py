"""The table of mutants, `table/*.toml`, and what an entry makes of the tree.

An entry is one line, the name of the mutant and what it is; docs/development.md explains each part:

    sync-pack-batch = { in = "Pack::write", operator = "drop sync_file", test = "--test power nothing" }

`schema = "TABLE.COLUMN"` stands in the place of `in` and `operator` for a foreign key of SQLite's schema.
"""

import functools
import pathlib
import re
import tomllib

from mutation import operators, source, sql
from mutation.scope import NAME as WORDS
from mutation.scope import Scope
from mutation.source import Stale

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = pathlib.Path(__file__).parent / "table"
SCHEMA = "migrations/sqlite/0001_initial.sql"
CORE = "juststorage-core"
KEYS = {"in", "operator", "test", "package", "schema"}
# What each argument may be: a name, a number or a sign, never a line of code.
NAME = rf'{WORDS.pattern}|"[\w/.-]+"'
VALUE = rf"(?:{WORDS.pattern})(?:\(\))?|\"\w+\"|" + "|".join(map(re.escape, sorted(operators.VALUES)))
SHAPES = {
    "NAME": NAME, "NAMES": rf"(?:{NAME}|\w+)(?:\+(?:{NAME}))*", "NUMBER": r"\d+", "BOOLEAN": "true|false", "VALUE": VALUE,
    "SIGN": "|".join(map(re.escape, sorted(operators.SIGNS | set(sql.SIGN.split("|"))))),
    "COLUMN": r"\w+(?:\.\w+)?", "TABLE": r"\w+", "WORD": r"\w+",
}


class Entry:
    def __init__(self, name, fields):
        self.name, self.fields = name, fields
        self.test = fields.get("test", "")
        self.package = fields.get("package", CORE)
        operator = fields.get("operator", [])
        self.operators = [operator] if isinstance(operator, str) else operator

    def check(self):
        """What is wrong with how the entry is written."""
        if unknown := set(self.fields) - KEYS:
            return f"it has {', '.join(sorted(unknown))}: an entry has {', '.join(sorted(KEYS))}"
        if not self.test:
            return "it names no test"
        if ("schema" in self.fields) == ("in" in self.fields and bool(self.operators)):
            return "it has `in` and `operator`, or `schema`"
        return None

    def apply(self, tree):
        """What the mutant changes; `Stale` if that is not to be found."""
        if wrong := self.check():
            raise Stale(wrong)
        if "schema" in self.fields:
            path = ROOT / SCHEMA
            whole = path.read_bytes()
            return Change(path, whole, sql.without_reference(whole.decode(), self.fields["schema"]).encode())
        if self.package not in tree.folders:
            raise Stale(f"there is no package {self.package}")
        package = tree.package(self.package)
        item = package.find(self.fields["in"])
        whole = package.texts[item.file]
        mutant, node = whole, item.node
        for number, line in enumerate(self.operators):
            if number > 0:
                node = again(mutant, item)
            mutant = carry_out(line, node, mutant)
        if source.errors(source.parse(mutant)) > package.errors(item.file):
            raise Stale(f"{' and '.join(self.operators)} in {item} gives no Rust: take another operator")
        return Change(item.file, whole, mutant, item)


class Change:
    """The file that a mutant changes, its text, its text as a mutant, and the item that is another one."""

    def __init__(self, path, whole, mutant, item=None):
        self.path, self.whole, self.mutant, self.item = path, whole, mutant, item


def again(text, item):
    """The item in a text that was changed."""
    same = [found for found in source.items(source.parse(text), item.file, item.path[:0])
            if item.path[-len(found.path):] == found.path and found.trait == item.trait]
    return max(same, key=lambda found: len(found.path)).node


def parse_operator(line):
    """The function of an operator, its arguments, and `near` and `nth`."""
    name, *rest = line.split()
    if name not in operators.OPERATORS:
        raise Stale(f"there is no operator {name}: there are {', '.join(sorted(operators.OPERATORS))}")
    parameters, function = operators.OPERATORS[name]
    arguments, rest = rest[:len(parameters)], rest[len(parameters):]
    if len(arguments) < len(parameters):
        raise Stale(f"{name} takes {' '.join(parameters)}")
    for shape, argument in zip(parameters, arguments):
        if not re.fullmatch(SHAPES[shape], argument):
            raise Stale(f"{name}: {argument} is no {shape}")
    near, nth = [], None
    while rest:
        if len(rest) < 2 or rest[0] not in ("near", "nth") or not re.fullmatch(NAME if rest[0] == "near" else r"\d+", rest[1]):
            raise Stale(f"{line}: only `near NAME` and `nth NUMBER` stand behind the arguments of an operator")
        if rest[0] == "near":
            near.append(rest[1])
        else:
            nth = int(rest[1])
        rest = rest[2:]
    return name, function, arguments, near, nth


def carry_out(line, node, text):
    """The text of a file with one operator carried out in an item of it."""
    name, function, arguments, near, nth = parse_operator(line)
    scope = Scope(node, text)
    found = sorted(function(scope, *arguments), key=lambda one: (one[0].start_byte, one[1][0].start))
    for beside in near:
        far = [(scope.distance(candidate, beside), candidate, edits) for candidate, edits in found]
        least = min((distance for distance, *_ in far if distance is not None), default=None)
        found = [(candidate, edits) for distance, candidate, edits in far if distance == least and distance is not None]
    if nth is not None:
        found = found[nth - 1:nth]
    if not found:
        raise Stale(f"`{line}` finds nothing there: name what does that work now")
    if len(found) > 1:
        lines = ", ".join(str(candidate.start_point[0] + 1) for candidate, _ in found)
        raise Stale(f"`{line}` finds {len(found)} places, in lines {lines}: add `near NAME` to tell them apart")
    for edit in sorted(found[0][1], key=lambda edit: -edit.start):
        text = text[:edit.start] + edit.text + text[edit.end:]
    return text


class Tree:
    """The packages of the workspace, each read when it is asked for."""

    def __init__(self, root=ROOT):
        self.folders = source.packages(root)

    @functools.cache
    def package(self, name):
        return source.Package(self.folders[name])


def read(files):
    """Entries of the table by name, from pairs of a file's name and its text; and what is wrong with it."""
    entries, findings = {}, []
    for file, text in files:
        try:
            sections = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            findings.append(f"{file}: {error}")
            continue
        for name, fields in sections.items():
            if name in entries:
                findings.append(f"{name}: there are two with this name")
            entries[name] = Entry(name, fields)
    return entries, findings


def load():
    return read((path.name, path.read_text()) for path in sorted(FOLDER.glob("*.toml")))
