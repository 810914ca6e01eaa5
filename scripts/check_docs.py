"""Holds the documents against the repository: links lead somewhere, names of settings, metrics and tests exist.

Run by `make docs`. The commands that the documents show are run by `compat-tests/tests/readme.rs`.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
# A word that these begin is a setting or a metric wherever it stands.
SETTING = re.compile(r"\bJUSTSTORAGE_[A-Z0-9_]*[A-Z0-9]\b")
METRIC = re.compile(r"\bactivestorage_[a-z_]*[a-z]\b")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")

findings = []


def tracked(*patterns):
    # New files count before they are committed.
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *patterns]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in sorted(set(names.splitlines())) if (path := ROOT / name).exists()]


def anchors(text):
    """Anchors of a document's headings, as GitHub makes them."""
    headings = re.findall(r"^#+\s+(.*)$", text, re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def links(path, text):
    for target in LINK.findall(re.sub(r"```.*?```", "", text, flags=re.S)):
        if "://" in target or target.startswith("mailto:"):
            continue
        name, _, anchor = target.partition("#")
        other = (path.parent / name).resolve() if name else path
        if not other.exists():
            yield f"{target} leads nowhere"
        elif anchor and anchor not in anchors(other.read_text()):
            yield f"{target}: there is no such heading"


documents = [(path, path.read_text()) for path in tracked("*.md")]
source = "\n".join(path.read_text() for path in tracked("*.rs"))
for path, text in documents:
    findings += [f"{path.relative_to(ROOT)}: {what}" for what in links(path, text)]
for kind, pattern, where in (("setting", SETTING, [*tracked("*.md", "deploy")]), ("metric", METRIC, [*tracked("*.md")])):
    known = set(pattern.findall(source))
    for path in where:
        for name in sorted(set(pattern.findall(path.read_text())) - known):
            findings.append(f"{path.relative_to(ROOT)}: the {kind} {name} does not occur in the source")

# Where the tests stand whose names compat-tests/details.md writes as `file::test`, or `file` where it is one test.
SHOWN = re.compile(r"`([\w./-]+\.(?:rs|py|mjs|go|java|sh))(?:::(\w+))?`")
PLACES = ("", "compat-tests", "compat-tests/tests", "compat-tests/python", "s3-gateway/tests")
details = ROOT / "compat-tests/details.md"
for name, test in SHOWN.findall(details.read_text()):
    path = next((ROOT / place / name for place in PLACES if (ROOT / place / name).exists()), None)
    if path is None:
        findings.append(f"{details.relative_to(ROOT)}: there is no {name}")
    elif test and not re.search(rf"\b(?:fn|def|func|void) {test}\b", path.read_text()):
        findings.append(f"{details.relative_to(ROOT)}: {name} has no {test}")

for line in findings:
    print(line, file=sys.stderr)
print(f"docs: {len(documents)} documents, {len(findings)} findings")
sys.exit(1 if findings else 0)
