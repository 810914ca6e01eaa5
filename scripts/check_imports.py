#!/usr/bin/env python3
"""Finds files, and rooms of a folder, that import each other in a circle.

A room is a file `x.rs` with its folder `x/`, or a folder. A file may not import, by way of others, a file that imports it;
nor may a room of the same folder. A module that only hands on what lies below it (`mod`, `pub use`) imports nothing by that.
Tests, and what stands behind `#[cfg(test)] mod tests`, do not count.

    scripts/check_imports.py [CRATE/src ...]
"""

import re
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CRATES = ["core/src", "native-api/src", "s3-gateway/src", "src"]
USE = re.compile(r"^[ \t]*(?P<handed>pub(?:\([^)]*\))?\s+)?use\s+(?P<tree>[^;]+);", re.MULTILINE)
PATH = re.compile(r"(?<![\w:])((?:crate|super|self|[a-z_]\w*)(?:::\w+)+)")


def names(tree):
    """The paths in a tree of a `use`."""
    tree = tree.strip()
    head, brace, rest = tree.partition("{")
    if not brace:
        return [tree]
    parts, depth, part = [], 0, ""
    for character in rest[: rest.rindex("}")]:
        depth += (character == "{") - (character == "}")
        if character == "," and depth == 0:
            parts.append(part)
            part = ""
        else:
            part += character
    parts.append(part)
    return [head.strip() + name for part in parts if part.strip() for name in names(part)]


class Crate:
    def __init__(self, source):
        self.source = source
        self.files = {}
        for path in sorted(source.rglob("*.rs")):
            parts = path.relative_to(source).with_suffix("").parts
            module = parts[:-1] if parts[-1] in ("mod", "lib", "main") else parts
            if "tests" not in module and "testing" not in module and not module[-1:] == ("format_tests",):
                self.files[module] = path
        self.text = {module: self.code(path) for module, path in self.files.items()}
        self.handed = {}
        for module in self.files:
            for use in USE.finditer(self.text[module]):
                for name in names(use["tree"]) if use["handed"] else []:
                    found = self.resolve(module, name)
                    if found and found[0] != module:
                        self.handed[module, found[1]] = found
        self.imports = defaultdict(lambda: defaultdict(set))
        for module in self.files:
            self.read(module)

    @staticmethod
    def code(path):
        text = re.sub(r"//[^\n]*", "", path.read_text())
        return text.partition("#[cfg(test)]\nmod tests")[0]

    def resolve(self, module, path):
        """The file in which a path ends, and the name in it."""
        parts = [part.strip() for part in path.split(" as ")[0].split("::")]
        at = list(module)
        if parts[0] == "crate":
            at, parts = [], parts[1:]
        elif parts[0] in ("self", "super"):
            while parts and parts[0] in ("self", "super"):
                at = at[:-1] if parts[0] == "super" else at
                parts = parts[1:]
        elif (*at, parts[0]) not in self.files:
            return None
        while parts and (*at, parts[0]) in self.files:
            at.append(parts[0])
            parts = parts[1:]
        return (tuple(at), parts[0] if parts else "*") if tuple(at) in self.files else None

    def read(self, module):
        text = self.text[module]
        found = [(name, bool(use["handed"])) for use in USE.finditer(text) for name in names(use["tree"])]
        found += [(path, False) for path in PATH.findall(USE.sub("", text))]
        for path, handed in found:
            target = self.resolve(module, path)
            seen = set()
            while target in self.handed and target not in seen:
                seen.add(target)
                target = self.handed[target]
            if not target or target[0] in (module, ()) or (handed and target[0][: len(module)] == module):
                continue
            self.imports[module][target[0]].add(target[1])

    def rooms(self):
        """For each folder, which of its rooms imports which, and one example of it."""
        folders = defaultdict(lambda: defaultdict(dict))
        for module, targets in self.imports.items():
            for target in targets:
                depth = 0
                while depth < min(len(module), len(target)) and module[depth] == target[depth]:
                    depth += 1
                # One above the other: a parent and what lies below it are one room.
                if depth < min(len(module), len(target)):
                    rooms = folders[module[:depth]]
                    rooms[module[: depth + 1]].setdefault(target[: depth + 1], (module, target))
        return folders


def circles(imports):
    """Strongly connected sets of more than one node (Tarjan)."""
    index, low, stack, found = {}, {}, [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for target in imports.get(node, ()):
            if target not in index:
                visit(target)
                low[node] = min(low[node], low[target])
            elif target in stack:
                low[node] = min(low[node], index[target])
        if low[node] == index[node]:
            circle = []
            while not circle or circle[-1] != node:
                circle.append(stack.pop())
            if len(circle) > 1:
                found.append(sorted(circle))

    for node in list(imports):
        if node not in index:
            visit(node)
    return found


def findings(sources=CRATES):
    """One line for each circle."""
    lines = []
    for source in sources:
        crate = Crate(ROOT / source)
        for circle in circles(crate.imports):
            arrows = [
                f"{'::'.join(one)} -> {'::'.join(two)} ({', '.join(sorted(crate.imports[one][two]))})"
                for one in circle
                for two in circle
                if two in crate.imports[one]
            ]
            lines.append(f"{source}: files import each other in a circle: {'; '.join(arrows)}")
        for folder, rooms in crate.rooms().items():
            for circle in circles(rooms):
                arrows = [
                    " -> ".join("::".join(module) for module in rooms[one][two])
                    for one in circle
                    for two in circle
                    if two in rooms[one]
                ]
                where = "::".join(folder) or "the crate"
                lines.append(f"{source}: rooms of {where} import each other in a circle: {'; '.join(arrows)}")
    return lines


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    found = findings(sys.argv[1:] or CRATES)
    print("\n".join(found + [f"imports: {len(found)} circles"]))
    sys.exit(bool(found))
