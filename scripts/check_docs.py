"""Checks the documents against the repository: links, settings, metrics, rules and tests that they name exist, and imports of
core run one way.

Run by `make docs`. The commands that the documents show are run by `compat-tests/tests/readme.rs`.
"""

import pathlib
import re
import subprocess
import sys

import check_imports

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
# Words that stand for something still to be written.
OPEN = re.compile(r"\b(?:FIGURE|TODO|TBD|FIXME|XXX)\b|^(?:<{7}|>{7}) .*$", re.M)
for path, text in documents:
    findings += [f"{path.relative_to(ROOT)}: {word} is still to be written" for word in OPEN.findall(text)]
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

# docs/design.md lists every decision record.
design = (ROOT / "docs/design.md").read_text()
for record in tracked("docs/decisions/*.md"):
    if f"(decisions/{record.name})" not in design:
        findings.append(f"docs/design.md does not list decisions/{record.name}: add a row that says what was decided")

# docs/monitoring.md: the table has every metric that the code registers, with its kind and labels, and no other.
TABLE = ROOT / "docs/monitoring.md"
RECORDED = re.compile(r"\b(counter|gauge|histogram)!\(\s*\"(activestorage_\w+)\"([^;]*?)\)\s*\.(?:increment|absolute|set|record)")
recorded = {}
for path in tracked("core/src/*.rs", "src/*.rs", "native-api/src/*.rs", "s3-gateway/src/*.rs"):
    for kind, name, rest in RECORDED.findall(path.read_text()):
        recorded[name] = (kind, set(re.findall(r'"(\w+)" =>', rest)))
explained = {}
for name, kind, labels in re.findall(r"^\| `(activestorage_\w+)` \| (\w+) \| ([^|]*)\|", TABLE.read_text(), re.M):
    explained[name] = (kind, set(re.findall(r"`(\w+)`", labels)))
for name in sorted(recorded.keys() | explained.keys()):
    if name not in explained:
        findings.append(f"docs/monitoring.md: its table lacks {name}, a {recorded[name][0]}: add a row of its own")
    elif name not in recorded:
        findings.append(f"docs/monitoring.md: nothing records {name}: remove its row")
    elif recorded[name] != explained[name]:
        code, table = recorded[name], explained[name]
        findings.append(f"docs/monitoring.md: {name} is {code[0]} {sorted(code[1])}, its row says {table[0]} {sorted(table[1])}")
described = set(re.findall(r"describe_\w+!\(\s*\"(activestorage_\w+)\"", (ROOT / "src/telemetry.rs").read_text()))
for name in sorted(recorded.keys() - described):
    findings.append(f"src/telemetry.rs: `describe` says nothing of {name}")
rules = re.findall(r"- alert: (\w+)", (ROOT / "deploy/prometheus/alerts.yaml").read_text())
alerts = re.findall(r"^\| `(JustStorage\w+)`", TABLE.read_text(), re.M)
for name in sorted(set(rules) ^ set(alerts)):
    findings.append(f"docs/monitoring.md and deploy/prometheus/alerts.yaml: only one of them has the alert {name}")

# docs/s3.md names every operation that the gateway carries out.
page = (ROOT / "docs/s3.md").read_text()
rows = (ROOT / "s3-gateway/src/operations/table.rs").read_text().partition("\noffered! {")[2].partition("\n}\n")[0]
operations = set(re.findall(r"^    (\w+): (?:GET|HEAD|PUT|POST|DELETE) ", rows, re.M))
findings += [f"docs/s3.md does not name {name}, which is offered" for name in sorted(operations) if not re.search(rf"\b{name}\b", page)]
if len(operations) < 40:
    findings.append("scripts/check_docs.py finds no rows `Name: METHOD …` in the gateway's operations/table.rs any more: follow the code here")

# docs/rules.md: each row names where a rule is decided and which test holds it, as `file::item`.
RULES = ROOT / "docs/rules.md"
ITEM = re.compile(r"`([^`\s]+\.rs)::(\w+)`")
rust = {path.relative_to(ROOT).as_posix(): path.read_text() for path in tracked("*.rs")}


def defines(text, item):
    return re.search(rf"\b(?:fn|const|static|struct|enum|trait)\s+{item}\b", text)


def is_test(name, item):
    """Whether an item has a test attribute, or stands where tests do and is handed to a macro that makes a test of it."""
    attributes = r"(?:\s*(?:#\[[^\n]*\]|//[^\n]*))*\s*"
    if re.search(rf"#\[(?:tokio::)?test[^\n]*\]{attributes}(?:async )?fn {item}\b", rust[name]):
        return True
    room = name.rpartition("/")[0]
    beside = [text for other, text in rust.items() if other.startswith(room)]
    return ("/tests/" in name or "/testing/" in name) and any(re.search(rf"[(,:]\s*{item}\b", text) for text in beside)


def correct(row, name, item, page="docs/rules.md"):
    """What is wrong with one `file::item` of a row, and where the item is now; None if nothing is."""
    if name in rust and defines(rust[name], item):
        return None
    wrong = f"has no `{item}`" if name in rust else "does not exist"
    now = [other for other, text in rust.items() if defines(text, item)]
    hint = f"it is now in {', '.join(now[:4])}" if now else "no file has it: name what decides the rule now"
    return f'{page}, row "{row}": {name} {wrong}; {hint}. Correct the row.'


rows = 0
for line in RULES.read_text().splitlines():
    cells = [cell.strip() for cell in line.strip().strip("|").split(" | ")]
    if not line.startswith("| **"):
        continue
    rows += 1
    row = re.search(r"\*\*(.*?)\*\*", line).group(1)
    if len(cells) != 3 or not ITEM.search(cells[1]) or not ITEM.search(cells[2]):
        findings.append(f'docs/rules.md, row "{row}": needs three cells: the rule, `file.rs::item`, `file.rs::test`')
        continue
    for name, item in ITEM.findall(cells[1]):
        findings += [found for found in [correct(row, name, item)] if found]
    for name, item in ITEM.findall(cells[2]):
        if found := correct(row, name, item):
            findings.append(found)
        elif not is_test(name, item):
            findings.append(f'docs/rules.md, row "{row}": {name}::{item} is no test. Name the test that holds the rule.')
if rows < 30:
    findings.append(f"docs/rules.md has {rows} rows, which is too few: has the form of its tables changed?")

# docs/guarantees.md: each promise names its tests.
promises = [line for line in (ROOT / "docs/guarantees.md").read_text().splitlines() if line.startswith("| **")]
for line in promises:
    row = re.search(r"\*\*(.*?)\*\*", line).group(1)
    named = ITEM.findall(line.split(" | ")[1]) if line.count(" | ") >= 2 else []
    if not named:
        findings.append(f'docs/guarantees.md, row "{row}": names no test as `file.rs::test`')
    for name, item in named:
        if found := correct(row, name, item, "docs/guarantees.md"):
            findings.append(found)
        elif not is_test(name, item):
            findings.append(f'docs/guarantees.md, row "{row}": {name}::{item} is no test')
if len(promises) < 12:
    findings.append(f"docs/guarantees.md has {len(promises)} promises, which is too few: has the form of its table changed?")

# docs/architecture.md: the way of a delete is that of the code, and imports run one way.
places = [(line.strip("| ").split(" ")[0], *place) for line in (ROOT / "docs/architecture.md").read_text().splitlines() for place in ITEM.findall(line)]
findings += [found for row, name, item in places if (found := correct(row, name, item, "docs/architecture.md"))]
if len(places) < 12:
    findings.append(f"docs/architecture.md names {len(places)} places of a delete, which is too few: has its table changed?")
findings += check_imports.findings()

for line in findings:
    print(line, file=sys.stderr)
print(f"docs: {len(documents)} documents, {len(findings)} findings")
sys.exit(1 if findings else 0)
