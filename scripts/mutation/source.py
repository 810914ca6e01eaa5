"""The source as trees: the items of a package by their paths, and what may be asked of a node."""

import collections
import functools
import pathlib
import re
import tomllib

import tree_sitter
import tree_sitter_rust

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_rust.language()))
COMMENTS = {"line_comment", "block_comment"}
STRINGS = {"string_literal", "raw_string_literal"}
# What an entry may name, beside the functions: the text of SQL and tables of macros stand in these, too.
ITEMS = {"function_item", "const_item", "static_item", "macro_definition"}


class Stale(Exception):
    """The program has no such place any more, or several; says how to mend the entry."""


# Macros whose argument is code, not only tokens.
CODE = {b"transaction", b"tokio::select"}


def parse(text):
    """A file as a tree. Macros of code are read as the calls and blocks that they look like, each byte in its place."""
    root = PARSER.parse(text).root_node
    if not any(name + b"!" in text for name in CODE):
        return root
    for macro in [node for node in macros(root) if node.child_by_field_name("macro").text in CODE]:
        read = as_code(text, macro)
        again = PARSER.parse(read).root_node
        if errors(again) <= errors(root):
            text, root = read, again
    return root


def macros(node):
    """Macro invocations from the last to the first, none inside of another."""
    if node.type == "macro_invocation":
        return [node]
    return [found for child in reversed(node.children) for found in macros(child)]


def as_code(text, macro):
    """`transaction!(db, |tx| ...)` as a call; `select! { a = b() => c, }` as the block `{ a = b(); c; }`."""
    blank, tree = bytearray(text), macro.children[-1]
    if tree.children[0].text != b"{":
        blank[macro.children[1].start_byte] = ord(" ")
        return bytes(blank)
    blank[macro.start_byte:tree.start_byte] = b" " * (tree.start_byte - macro.start_byte)
    condition = False
    for child in tree.children:
        # A branch's own condition, `, if it() =>`, and `else =>` have no place in a block.
        condition = child.text != b"=>" and (condition or child.text == b"," and child.next_sibling.text == b"if")
        if condition or child.text == b"else":
            blank[child.start_byte:child.end_byte] = b" " * (child.end_byte - child.start_byte)
        elif child.text in (b"=>", b","):
            blank[child.start_byte:child.end_byte] = b"; "[:child.end_byte - child.start_byte]
    return bytes(blank)


def errors(root):
    """How many places of a file tree-sitter could not read."""
    if not root.has_error:
        return 0
    count, nodes = 0, [root]
    while nodes:
        node = nodes.pop()
        count += node.is_error or node.is_missing
        nodes += node.children
    return count


class Item:
    """A function, constant or macro: its file and its path by names, such as `pack::Pack::append`."""

    def __init__(self, file, path, trait, node):
        self.file, self.path, self.trait, self.node = file, path, trait, node

    def __str__(self):
        *modules, owner, name = ["", *self.path]
        if self.trait:
            owner = f"<{owner} as {self.trait}>"
        return "::".join(part for part in (*modules, owner, name) if part)

    def answers_to(self, name):
        """Whether `name` is the end of its path; `<Type as Trait>::method` names the trait of an `impl`, too."""
        if name.startswith("<"):
            owner, _, rest = name[1:].partition(">::")
            owner, _, trait = owner.partition(" as ")
            return self.trait == trait and self.path[-2:] == [owner, rest]
        words = name.split("::")
        return self.path[-len(words):] == words


def items(root, file, modules):
    """Every item of a file but those of its tests."""
    found = []

    def last_name(node):
        while node is not None and node.child_by_field_name("type") is not None and node.type != "type_identifier":
            node = node.child_by_field_name("type")
        return "" if node is None else node.text.decode().rpartition("::")[2].partition("<")[0]

    def visit(parent, path, trait):
        tests = False
        for node in parent.children:
            if node.type == "attribute_item":
                tests = tests or node.text.replace(b" ", b"") in (b"#[cfg(test)]", b"#[test]")
                continue
            if node.type in COMMENTS:
                continue
            skipped, tests = tests, False
            name = node.child_by_field_name("name")
            if skipped or (node.type == "mod_item" and name.text == b"tests"):
                continue
            body = node.child_by_field_name("body")
            if node.type in ITEMS:
                found.append(Item(file, [*path, name.text.decode()], trait, node))
                if node.type == "function_item" and body is not None:
                    visit(body, found[-1].path, None)
            elif node.type in ("mod_item", "trait_item") and body is not None:
                visit(body, [*path, name.text.decode()], None)
            elif node.type == "impl_item" and body is not None:
                of = last_name(node.child_by_field_name("trait")) or None
                visit(body, [*path, last_name(node.child_by_field_name("type"))], of)
            elif node.type == "expression_statement" and node.children[0].type == "macro_invocation":
                visit(node, path, trait)
            elif node.type == "macro_invocation" and parent.type != "block":
                found.append(Item(file, [*path, node.child_by_field_name("macro").text.decode() + "!"], None, node))

    visit(root, modules, None)
    return found


# What may declare an item: `fn name`, or `name! {`.
DECLARED = re.compile(rb"\b(?:fn|const(?!\s+fn\b)|static|macro_rules!)\s+(\w+)|^\s*(\w+!)\s*[{(]", re.M)


class Package:
    """The items of one package. Files are read once; only those that declare a wanted name are parsed."""

    def __init__(self, folder):
        self.folder = folder
        self.texts = {path: path.read_bytes() for path in sorted((folder / "src").rglob("*.rs")) if path.stem != "tests"}
        self.declared = collections.defaultdict(list)
        for path, text in self.texts.items():
            for name in {one or other for one, other in DECLARED.findall(text)}:
                self.declared[name.decode()].append(path)

    @functools.cache
    def errors(self, path):
        return errors(parse(self.texts[path]))

    @functools.cache
    def items(self, path):
        *modules, _ = path.relative_to(self.folder / "src").parts
        if path.stem not in ("mod", "lib", "main"):
            modules.append(path.stem)
        return items(parse(self.texts[path]), path, modules)

    def find(self, name):
        """The one item whose path ends with `name`."""
        last = name.rpartition("::")[2]
        near = [item for path in self.declared[last] for item in self.items(path) if item.path[-1] == last]
        found = [item for item in near if item.answers_to(name)]
        if len(found) == 1:
            return found[0]
        if found:
            raise Stale(f"{len(found)} items are called {name}: write one of {', '.join(map(str, found))}")
        if near:
            raise Stale(f"nothing is called {name}: is it one of {', '.join(map(str, near[:5]))} now?")
        raise Stale(f"nothing is called {name}: name the function that does its work now")


def packages(root):
    """The packages of the workspace, by name."""
    manifests = [root / "Cargo.toml", *sorted(root.glob("*/Cargo.toml"))]
    return {tomllib.loads(path.read_text())["package"]["name"]: path.parent for path in map(pathlib.Path, manifests)}


def leaves(node):
    """The tokens of a node in their order, without comments. A string literal is one."""
    if node.type in COMMENTS:
        return []
    if not node.children or node.type in STRINGS:
        return [node]
    return [leaf for child in node.children for leaf in leaves(child)]


def words_of(name):
    """A name as tokens: `Errno::IO` is three, `$1` one."""
    words = []
    for part in name.replace("::", " :: ").replace(".", " . ").split():
        words.append(part.encode())
    return words


def within(inner, outer):
    return outer.start_byte <= inner.start_byte and inner.end_byte <= outer.end_byte


def up(node, top):
    """The node and what encloses it, up to the item itself."""
    while node is not None:
        yield node
        if node.id == top.id:
            return
        node = node.parent


def child_field(parent, node):
    for number, child in enumerate(parent.children):
        if child.id == node.id:
            return parent.field_name_for_child(number)
    return None
