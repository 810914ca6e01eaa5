"""The operators on Rust. Each finds one node of an item by the names in it and says what stands there instead.

An operator is a line of words: its own name, then its arguments. Two words may follow: `near NAME` picks, of several nodes,
the one beside which NAME stands: in the same statement, or in the pattern or condition of what encloses it. `nth N` picks the
N-th of those left, where names do not tell them apart.
"""

from mutation.scope import COMPARISONS, chain, text
from mutation.source import child_field, words_of

SIGNS = COMPARISONS | {"&&", "||", "+", "-", "*", "/"}
# What may stand in the place of an expression, beside a name, a number and a call of a name without arguments.
VALUES = {"()", "{}", "Ok(())", "None", '""', "&[]", "Default::default()"}
OPERATORS = {}


class Edit:
    def __init__(self, start, end, text):
        self.start, self.end, self.text = start, end, text.encode() if isinstance(text, str) else text


def operator(name, *parameters):
    """Registers a function (scope, *arguments) -> the candidates, as pairs of a node and its edits."""
    def register(function):
        OPERATORS[name] = (parameters, function)
        return function
    return register


def once(nodes):
    """The nodes without those that are missing or come twice."""
    return list({(node.start_byte, node.end_byte): node for node in nodes if node is not None}.values())


def instead(node, value):
    return node, [Edit(node.start_byte, node.end_byte, value)]


def giving(arm, value):
    """A match arm that gives another value. A block may do without the comma that others need."""
    old = arm.child_by_field_name("value")
    comma = "" if old.next_sibling is not None and old.next_sibling.text == b"," else ","
    return arm, [Edit(old.start_byte, old.end_byte, value + comma)]


def without(node):
    """A node that goes with the sign or comma beside it."""
    first = node.prev_sibling is None or node.prev_sibling.text in (b"[", b"(", b"{")
    other = node.next_sibling if first else node.prev_sibling
    if other.text not in (b",", b"&&", b"||", b"|"):
        return node, [Edit(node.start_byte, node.end_byte, "")]
    return node, [Edit(min(node.start_byte, other.start_byte), max(node.end_byte, other.end_byte), "")]


# Statements


@operator("drop", "NAME")
def drop(scope, name):
    """The statement that mentions NAME goes."""
    for node in once(map(scope.statement, scope.mentions(name))):
        yield instead(node, "" if node.parent.type != "match_arm" else "{}")


@operator("hang", "NAME")
def hang(scope, name):
    """Before the statement that mentions NAME the function waits without an end."""
    for node in once(map(scope.statement, scope.mentions(name))):
        yield node, [Edit(node.start_byte, node.start_byte, "std::future::pending::<()>().await; ")]


@operator("reverse", "NAME", "NAME")
def reverse(scope, rows, name):
    """Before the statement that mentions the second NAME the elements of the first are turned round."""
    for node in once(map(scope.statement, scope.mentions(name))):
        turned = f"let {rows}: Vec<_> = {rows}.into_iter().rev().collect(); "
        yield node, [Edit(node.start_byte, node.start_byte, turned)]


# Conditions


@operator("condition", "NAME", "BOOLEAN")
def condition(scope, name, value):
    """The smallest condition that mentions NAME is true, or false. A `let` that matches as a condition can only be false."""
    for node in once(map(scope.condition, scope.mentions(name))):
        if node.type == "let_condition" and value == "true":
            continue
        yield instead(node, f"{scope.text(node)} && false" if node.type == "let_condition" else value)


@operator("regardless", "NAME", "BOOLEAN")
def regardless(scope, name, value):
    """The same; but what the condition calls is called, and its answer is left alone."""
    for node in once(map(scope.condition, scope.mentions(name))):
        if node.type != "let_condition":
            yield instead(node, f"({scope.text(node)}, {value}).1")


@operator("negate", "NAME")
def negate(scope, name):
    """The smallest condition that mentions NAME is turned round."""
    for node in once(map(scope.condition, scope.mentions(name))):
        bare = node.type == "unary_expression"
        yield instead(node, scope.text(node.children[1]) if bare else f"!({scope.text(node)})")


@operator("without", "NAME")
def without_operand(scope, name):
    """The operand of `&&` or `||` that mentions NAME goes."""
    for node in once(map(scope.operand, scope.mentions(name))):
        if node.parent.type == "let_chain":
            yield without(node)
        else:
            left, right = node.parent.child_by_field_name("left"), node.parent.child_by_field_name("right")
            kept = right if node.id == left.id else left
            yield node, [Edit(node.parent.start_byte, node.parent.end_byte, scope.text(kept))]


@operator("sign", "NAME", "SIGN", "SIGN")
def sign(scope, name, old, new):
    """The first sign beside NAME becomes the second: `sign size < <=`."""
    def beside(leaf):
        for node in scope.up(leaf):
            if node.type == "binary_expression" and text(node.child_by_field_name("operator")) == old:
                return node.child_by_field_name("operator")
            if node.type in ("block", "match_arm"):
                return None
        return None

    for node in once(map(beside, scope.mentions(name))):
        yield instead(node, new)


# Values


@operator("value", "NAME", "VALUE")
def value(scope, name, value):
    """The call of NAME, with the methods, `.await` and `?` behind it, becomes VALUE."""
    for call in scope.calls(name):
        if call.node.type == "token_tree":
            yield call.node, [Edit(call.start, call.end, value)]
        else:
            yield instead(chain(call.node), value)


@operator("argument", "NAME", "NUMBER", "VALUE")
def argument(scope, name, number, value):
    """The NUMBER-th argument of the call of NAME becomes VALUE."""
    for call in scope.calls(name):
        if len(call.arguments) >= int(number):
            start, end = call.arguments[int(number) - 1]
            yield call.node, [Edit(start, end, value)]


@operator("keep-argument", "NAME")
def keep_argument(scope, name):
    """The call of NAME, with `.await` and `?` behind it, becomes its only argument."""
    for call in scope.calls(name):
        if len(call.arguments) == 1:
            [(start, end)] = call.arguments
            if call.node.type == "token_tree":
                yield call.node, [Edit(call.start, start, ""), Edit(end, call.end, "")]
                continue
            whole = chain(call.node, ("await_expression", "try_expression"))
            if whole.parent.type == "unary_expression" and whole.parent.children[0].text == b"*":
                whole = whole.parent
            yield call.node, [Edit(whole.start_byte, start, ""), Edit(end, whole.end_byte, "")]


@operator("unlink", "NAME")
def unlink(scope, name):
    """The method NAME goes out of a chain of calls."""
    for call in scope.calls(name):
        if call.node.type == "call_expression" and call.node.child_by_field_name("function").type == "field_expression":
            receiver = call.node.child_by_field_name("function").child_by_field_name("value")
            yield call.node, [Edit(receiver.end_byte, call.end, "")]


@operator("empty", "NAME")
def empty(scope, name):
    """The option, or the iterator, that the call of NAME gives is empty."""
    for call in scope.calls(name):
        yield call.node, [Edit(call.end, call.end, ".filter(|_| false)")]


@operator("retry", "NAME")
def retry(scope, name):
    """Where the call of NAME fails, it is made once more."""
    for call in scope.calls(name):
        if call.node.type == "call_expression":
            yield call.node, [Edit(call.end, call.end, f".or_else(|_| {scope.text(call.node)})")]


@operator("field", "NAME", "VALUE")
def field(scope, name, value):
    """The field NAME of a new struct is VALUE."""
    for leaf in scope.mentions(name):
        if leaf.parent.type == "shorthand_field_initializer":
            yield instead(leaf.parent, f"{name}: {value}")
        elif leaf.parent.type == "field_initializer" and child_field(leaf.parent, leaf) == "field":
            yield instead(leaf.parent.child_by_field_name("value"), value)


@operator("swap", "NAME", "NAME")
def swap(scope, old, new):
    """The second NAME, or number, stands where the first stood."""
    for leaf in scope.mentions(old):
        begin, count = scope.leaves.index(leaf), len(words_of(old.removesuffix("!")))
        start = scope.leaves[begin - count + 1].start_byte
        end = leaf.end_byte
        if old.endswith("!"):
            end = scope.leaves[begin + 1].end_byte
        yield leaf, [Edit(start, end, new)]


@operator("skip-loop", "NAME")
def skip_loop(scope, name):
    """The loop over what mentions NAME does nothing."""
    for leaf in scope.mentions(name):
        for node in scope.up(leaf):
            if node.parent is not None and node.parent.type == "for_expression":
                if child_field(node.parent, node) == "value":
                    yield node, [Edit(node.end_byte, node.end_byte, ".into_iter().take(0)")]
                break


@operator("no-spawn", "NAME")
def no_spawn(scope, name):
    """What is spawned and mentions NAME runs inside of the task that waits for it."""
    for call in scope.calls("spawn"):
        if scope.mentions(name, call.node):
            [(start, end)] = call.arguments
            yield call.node, [Edit(call.start, start, "async { Ok::<_, tokio::task::JoinError>(("),
                              Edit(end, call.end, ").await) }")]


@operator("return", "VALUE")
def returned(scope, value):
    """The function does nothing and answers VALUE."""
    body = scope.node.child_by_field_name("body")
    if body is not None:
        yield instead(body, "{ " + value + " }")


# Matches. An arm is named by words of its pattern, which `+` joins.


@operator("arm", "NAMES", "VALUE")
def arm(scope, names, value):
    """The arm gives VALUE."""
    for node in scope.arms(names):
        yield giving(node, value)


@operator("arm-fails", "NAMES", "NAME")
def arm_fails(scope, names, error):
    """The arm returns the error NAME."""
    for node in scope.arms(names):
        yield giving(node, f"return Err({error})")


@operator("arm-as", "NAMES", "NAMES")
def arm_as(scope, names, others):
    """The first arm does what the second, of the same match, does."""
    for node in scope.arms(names):
        same = [other for other in scope.arms(others) if other.parent.id == node.parent.id and other.id != node.id]
        if len(same) == 1:
            yield giving(node, scope.text(same[0].child_by_field_name("value")))


@operator("drop-arm", "NAMES")
def drop_arm(scope, names):
    """The arm goes."""
    for node in scope.arms(names):
        yield instead(node, "")


@operator("any", "NAME")
def anything(scope, name):
    """The part of a pattern that is NAME takes everything."""
    for leaf in scope.mentions(name):
        node = leaf
        while node.parent.type == "scoped_identifier" or \
                node.parent.type in ("tuple_struct_pattern", "struct_pattern") and child_field(node.parent, node) == "type":
            node = node.parent
        if any(above.type in ("match_pattern", "let_condition") and child_field(above, below) != "condition"
               for below, above in zip(scope.up(node), list(scope.up(node))[1:])):
            yield instead(node, "_")


@operator("drop-alternative", "NAME")
def drop_alternative(scope, name):
    """The alternative of a pattern that mentions NAME goes."""
    for leaf in scope.mentions(name):
        for node in scope.up(leaf):
            if node.parent is None or node.type == "block":
                break
            if node.parent.type == "or_pattern":
                [kept] = [child for child in node.parent.named_children if child.id != node.id]
                yield node, [Edit(node.parent.start_byte, node.parent.end_byte, scope.text(kept))]
                break


# Arguments of macros, which are tokens and no tree


@operator("drop-token", "NAME")
def drop_token(scope, name):
    """The token NAME goes out of the arguments of a macro, with a comma beside it."""
    for leaf in scope.mentions(name):
        if leaf.parent.type == "token_tree":
            yield without(leaf)
