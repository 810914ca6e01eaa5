"""What is wrong with the table itself, and which entries a commit did not have. Nothing is built."""

import re
import subprocess

from mutation import table
from mutation.runner import split
from mutation.source import Stale
from mutation.table import ROOT

NAMED = re.compile(r"\b(?:fn|mod)\s+(\w+)")
# Some are made by a macro: promise!(theme, name), on_both_databases!(name, ...).
LISTED = re.compile(r"^\s*(?:\w+,\s*)?(\w+)[,;)]*\s*$|\w+!?\((?:\w+,\s*)?(\w+)\)", re.M)


def tests_known():
    """Every name that a test may have."""
    sources = [path for path in ROOT.rglob("*.rs") if not {"target", ".git"} & set(path.relative_to(ROOT).parts)]
    texts = [path.read_text() for path in sources]
    known = {name for text in texts for name in NAMED.findall(text)}
    return known | {name for text in texts for both in LISTED.findall(text) for name in both}


def findings():
    entries, found = table.load()
    tree, known, seen = table.Tree(), tests_known(), {}
    for name, entry in entries.items():
        try:
            change = entry.apply(tree)
        except Stale as why:
            found.append(f"{name}: {why}")
            continue
        if change.mutant == change.whole:
            found.append(f"{name}: it changes nothing")
        for word in split(entry.test)[2]:
            part = word.rpartition("::")[2]
            if not any(part in one for one in known):
                found.append(f"{name}: no test is called {part}")
        other = seen.setdefault((change.path, change.mutant, entry.test), name)
        if other != name:
            found.append(f"{name}: it is the same as {other}")
    return len(entries), found


def added_since(commit):
    """The entries that the table of a commit did not have, or had otherwise."""
    def git(*arguments):
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    folder = table.FOLDER.relative_to(ROOT).as_posix()
    files = git("ls-tree", "--name-only", commit, f"{folder}/").split()
    entries, _ = table.load()
    if not files:
        # Before there was this table, mutants were replacements of text in the script itself.
        known = set(re.findall(r'^    "([\w.-]+)": \(', git("show", f"{commit}:scripts/mutants"), re.M))
        return [entry for name, entry in entries.items() if name not in known and "schema" not in entry.fields]
    then, _ = table.read((file, git("show", f"{commit}:{file}")) for file in files)
    return [entry for name, entry in entries.items() if name not in then or then[name].fields != entry.fields]
