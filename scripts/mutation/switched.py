"""Many mutants in one program: each function that has mutants holds their bodies beside its own, and a variable of the
environment says which one runs.

A build of the core takes a minute or two, most tests take seconds: so one program serves all mutants of its tests. What is no
body of a function (a constant, a macro, the schema) is built by itself, and so is a function of which two bodies cannot stand
beside each other: a constant one, and one that returns `impl Trait`.
"""

import collections
import re

from mutation import table

VARIABLE = "MUTANT"
# Behind the last line of a crate's root.
SWITCH = b"""
#[doc(hidden)]
#[allow(missing_docs, unreachable_pub, dead_code)]
pub fn mutant_is(name: &str) -> bool {
    static CHOSEN: std::sync::LazyLock<Option<String>> = std::sync::LazyLock::new(|| std::env::var("MUTANT").ok());
    CHOSEN.as_deref() == Some(name)
}
"""
ROOTS = ("lib.rs", "main.rs")
PLACE = re.compile(r"^\s*--> ([^:\s]+):(\d+):", re.M)


def is_possible(item):
    """Whether two bodies of a function can stand beside each other."""
    if item is None or item.node.type != "function_item" or item.node.child_by_field_name("body") is None:
        return False
    head = item.node.text[:item.node.child_by_field_name("body").start_byte - item.node.start_byte]
    return not re.search(rb"\bconst\s+fn\b|->\s*(?:\w+\s*<\s*)?impl\b", head)


class Switched:
    """A tree whose functions can be each of some mutants."""

    def __init__(self, packages):
        self.packages, self.changes, self.ranges = list(packages), {}, []

    def add(self, entry, change):
        """Whether a mutant could be taken in."""
        if not is_possible(change.item):
            return False
        ours = change.item.node
        for other in self.changes.values():
            node = other.item.node
            if other.path == change.path and node.start_byte != ours.start_byte \
                    and node.start_byte < ours.end_byte and ours.start_byte < node.end_byte:
                return False
        self.changes[entry.name] = change
        return True

    def texts(self):
        """The files that change, with every mutant in them."""
        files, self.ranges = collections.defaultdict(dict), []
        for name, change in self.changes.items():
            body = table.again(change.mutant, change.item).child_by_field_name("body")
            functions = files[change.path].setdefault(change.item.node.start_byte, (change, {}))
            functions[1][name] = change.mutant[body.start_byte:body.end_byte]
        texts = {}
        for path, functions in files.items():
            text, at = b"", 0
            for _, (change, bodies) in sorted(functions.items()):
                own = change.item.node.child_by_field_name("body")
                text += change.whole[at:own.start_byte] + b"{"
                begun = line_of(text)
                for name, body in bodies.items():
                    text += f' if crate::mutant_is("{name}") '.encode()
                    first = line_of(text)
                    text += body + b"\nelse\n"
                    self.ranges.append((path, first, line_of(text) - 1, {name}))
                text += change.whole[own.start_byte:own.end_byte] + b"}"
                # Whatever else is wrong in the function is wrong because of all of them.
                self.ranges.append((path, begun, line_of(text), set(bodies)))
                at = own.end_byte
            texts[path] = text + change.whole[at:]
        for package in self.packages:
            if any(path.is_relative_to(package / "src") for path in files):
                for path in (package / "src" / root for root in ROOTS):
                    if path.exists():
                        texts[path] = texts.get(path, path.read_bytes()) + SWITCH
        return texts

    def blame(self, said, root):
        """The mutants to which the compiler's errors lead, which then go."""
        blamed = set()
        for error in re.split(r"^(?=error|warning)", said, flags=re.M):
            if not error.startswith("error"):
                continue
            for file, line in PLACE.findall(error)[:1]:
                near = [names for path, first, last, names in self.ranges
                        if path == root / file and first <= int(line) <= last]
                blamed |= min(near, key=len, default=set())
        for name in blamed:
            del self.changes[name]
        return blamed


def line_of(text):
    return text.count(b"\n") + 1
