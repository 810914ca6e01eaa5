"""An item as operators see it: where a name stands in it, and which condition, statement, call or arm that belongs to."""

import re

from mutation import source
from mutation.source import child_field, leaves, up, within, words_of

COMPARISONS = {"==", "!=", "<", "<=", ">", ">="}
# Calls whose result is a boolean, beside those that begin with `is_`.
PREDICATES = re.compile(r"is_\w+|any|all|contains\w*|starts_with|ends_with|eq|exists")
NAME = re.compile(r"(?:\w+::)*\w+(?:\.\w+)*!?")


class Scope:
    """An item, and how its nodes are found."""

    def __init__(self, node, text):
        self.node, self.whole = node, text
        self.leaves = leaves(node)

    def text(self, node):
        """What the file has there: the tree's own text is another one in macros of code."""
        return self.whole[node.start_byte:node.end_byte].decode()

    def mentions(self, name, inside=None):
        """Tokens of a name. Of a path it is the last one. `"word"` stands for a word of a string literal."""
        tokens = self.leaves if inside is None else leaves(inside)
        if name.startswith('"'):
            pattern = re.compile(rb"\b" + re.escape(name.strip('"').encode()) + rb"\b")
            return [leaf for leaf in tokens if leaf.type in source.STRINGS and pattern.search(leaf.text)]
        words = words_of(name.removesuffix("!"))
        found = []
        for at in range(len(words) - 1, len(tokens)):
            if all(tokens[at - len(words) + 1 + number].text == word for number, word in enumerate(words)):
                found.append(tokens[at])
        return found

    def up(self, node):
        return up(node, self.node)

    def calls(self, name):
        """Calls of a function, a method, a constructor or a macro; also in the arguments of a macro."""
        found = []
        for leaf in self.mentions(name):
            node = leaf
            while node.parent is not None and node.parent.type in ("scoped_identifier", "generic_function", "field_expression") \
                    and node.end_byte == (node.parent.child_by_field_name("function") or node.parent).end_byte:
                node = node.parent
            parent = node.parent
            if parent.type == "call_expression" and child_field(parent, node) == "function":
                found.append(Call(parent, parent.start_byte, parent.end_byte, parent.child_by_field_name("arguments")))
            elif parent.type == "macro_invocation" and child_field(parent, node) == "macro":
                found.append(Call(parent, parent.start_byte, parent.end_byte, parent.children[-1]))
            elif parent.type == "token_tree" and (following := leaf.next_sibling) is not None \
                    and following.type == "token_tree":
                begin = leaf
                while begin.prev_sibling is not None and begin.prev_sibling.text in (b".", b"::"):
                    begin = begin.prev_sibling.prev_sibling
                found.append(Call(following, begin.start_byte, following.end_byte, following))
        return found

    def condition(self, leaf):
        """The smallest condition that a token is part of."""
        last, deep = None, False
        for node in self.up(leaf):
            parent = node.parent
            if parent is None or node.id == self.node.id:
                return last
            deep = deep or node.type in ("arguments", "field_initializer_list")
            if node.type in ("closure_parameters", "compound_assignment_expr", "assignment_expression"):
                return None
            field = child_field(parent, node)
            whole = None
            if node.type == "binary_expression" and text(node.child_by_field_name("operator")) in COMPARISONS | {"&&", "||"}:
                whole = node
            elif node.type == "let_condition":
                return node
            elif node.type == "macro_invocation" and text(node.child_by_field_name("macro")) in ("matches", "assert"):
                whole = node
            elif node.type == "call_expression" and PREDICATES.fullmatch(called(node)):
                whole = node
            elif parent.type == "binary_expression" and text(parent.child_by_field_name("operator")) in ("&&", "||"):
                whole = node
            elif parent.type == "let_chain":
                whole = node
            elif parent.type == "closure_expression" and field == "body" and node.type != "block" and judges(parent):
                whole = node
            elif parent.type in ("if_expression", "while_expression", "match_pattern") and field == "condition":
                whole = node
            elif parent.type == "unary_expression" and text(parent.children[0]) == "!":
                whole = node
            elif last is None and not deep and (
                    parent.type == "closure_expression" and field == "body" and node.type != "block"
                    or parent.type == "let_declaration" and field == "value"
                    or parent.type == "block" and node.type not in ("expression_statement", "let_declaration")):
                # What a closure, a block or a variable is may be a condition, too.
                last = node
            if whole is not None:
                while whole.parent.type in ("await_expression", "try_expression", "parenthesized_expression") or \
                        whole.parent.type == "unary_expression" and text(whole.parent.children[0]) == "!":
                    whole = whole.parent
                return whole
            if node.type in ("block", "match_arm"):
                return last
        return last

    def operand(self, leaf):
        """The operand of `&&` or `||` that a token is part of."""
        for node in self.up(leaf):
            parent = node.parent
            if parent.type == "let_chain" or \
                    parent.type == "binary_expression" and text(parent.child_by_field_name("operator")) in ("&&", "||"):
                return node
            if node.type in ("block", "match_arm"):
                return None
        return None

    def statement(self, leaf):
        """The smallest statement that a token is part of, or the value of a match arm that does nothing else."""
        for node in self.up(leaf):
            if node.type in ("expression_statement", "let_declaration"):
                return node
            if node.type == "block" or node.parent is None:
                return None
            if node.parent.type == "match_arm":
                return node if child_field(node.parent, node) == "value" and node.type != "block" else None
        return None

    def arms(self, names):
        """Match arms whose pattern mentions every name, joined by `+`."""
        found = []
        for node in descend(self.node):
            if node.type == "match_arm":
                pattern = node.child_by_field_name("pattern")
                if all(self.mentions(name, pattern) for name in names.split("+")):
                    found.append(node)
        return found

    def distance(self, node, name):
        """How far from a node the name stands: the size of what holds both; None if it stands beside it nowhere."""
        if self.said(name, node):
            return 0
        blocks = ("block", "match_block", "declaration_list", "else_clause")
        for parent in self.up(node.parent if node.id != self.node.id else node):
            inner, begun = [], parent.type in blocks
            if begun:
                pass
            elif parent.type == "token_tree" and any(child.text == b";" for child in parent.children):
                inner = row_of(parent, node)
            else:
                inner = [child for child in parent.children if not within(node, child)]
                # What is beside a block belongs to it; what is in another block does not.
                inner = [child for child in inner if child.type not in blocks]
            if any(self.said(name, child) for child in inner):
                return parent.end_byte - parent.start_byte
        return None

    def said(self, name, node):
        """Whether a name stands in a node, as a token or as a word of a string literal."""
        if self.mentions(name, node):
            return True
        return NAME.fullmatch(name) is not None and "::" not in name and bool(self.mentions(f'"{name}"', node))


class Call:
    """A call: from its receiver to its last parenthesis."""

    def __init__(self, node, start, end, arguments):
        self.node, self.start, self.end = node, start, end
        self.arguments, begun = [], None
        for child in arguments.children[1:-1]:
            if child.text == b",":
                self.arguments.append((begun, last))
                begun = None
                continue
            begun, last = child.start_byte if begun is None else begun, child.end_byte
        if begun is not None:
            self.arguments.append((begun, last))


def row_of(tree, node):
    """Of a macro's rows, which `;` ends, the one that holds a node."""
    rows = [[]]
    for child in tree.children:
        if child.text == b";":
            rows.append([])
        else:
            rows[-1].append(child)
    [row] = [row for row in rows if any(within(node, child) for child in row)] or [[]]
    return row


def text(node):
    return "" if node is None else node.text.decode()


def called(call):
    """The last name of what is called."""
    function = call.child_by_field_name("function")
    if function.type == "generic_function":
        function = function.child_by_field_name("function")
    return re.split(r"::|\.", text(function))[-1].strip()


def judges(closure):
    """Whether a closure is the argument of a call such as `any`, so that it gives a condition."""
    call = closure.parent.parent
    return call is not None and call.type == "call_expression" and bool(PREDICATES.fullmatch(called(call)))


def descend(node):
    yield node
    for child in node.children:
        yield from descend(child)


def chain(node, links=("await_expression", "try_expression", "field_expression", "call_expression")):
    """The whole of a chain that begins with a call: its methods, `.await` and `?`."""
    while node.parent.type in links and node.parent.children[0].id == node.id:
        node = node.parent
    return node
