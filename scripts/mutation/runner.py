"""Builds mutants in a copy of the tree and runs the tests that must fail with them.

The copy is one of its own, so that nobody else builds a mutant by mistake. First each test is run without a mutant: one that
fails then says nothing. Most mutants of one test program are built into it together (`switched.py`), the others one by one. The
next program is built while the test of the last one runs, which ends with the first failure.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import tomllib

from mutation import switched, table
from mutation.source import Stale
from mutation.table import CORE, ROOT

WORK = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve() / "mutants"
TREE = WORK / "tree"
# Seconds that a test may take.
TEST_MAX = 1800


def copy_tree():
    """Makes the copy what the tree is. A file that is the same keeps its time, so that little is built again."""
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            capture_output=True, text=True, check=True).stdout
    wanted = {name for name in listed.split("\0") if name and (ROOT / name).is_file()}
    for name in wanted:
        source, target = ROOT / name, TREE / name
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    for target in [path for path in TREE.rglob("*") if path.is_file()]:
        if str(target.relative_to(TREE)) not in wanted:
            target.unlink()


def split(test):
    """The package of a test, which of its programs it is, and what that is called with."""
    words = test.split()
    package = CORE
    if words[0] == "-p":
        package, words = words[1], words[2:]
    count = 1 if words[0] == "--lib" else 2
    return package, words[:count], words[count:]


class Unbuilt(Exception):
    """What the compiler said."""


class Program:
    """A test program, copied to where the next build does not replace it."""

    def __init__(self, package, words, name):
        self.path = WORK / name
        self.binary = self.path.with_name(f"{name}-binary")
        made = cargo("test", *words, "--no-run", "--message-format=json-render-diagnostics")
        messages = [json.loads(line) for line in made.splitlines() if line.startswith("{")]
        [built] = [message for message in messages if message.get("executable") and message["profile"]["test"]
                   and name_of(message["manifest_path"]) == package]
        shutil.copy(built["executable"], self.path)
        # As cargo does: a test's working directory is its package.
        self.directory = pathlib.Path(built["manifest_path"]).parent
        self.environment = dict(os.environ)
        if package == "juststorage-compat-tests":
            # Those drive the real binary, which is a mutant too.
            cargo("build", "--bin", "juststorage")
            shutil.copy(WORK / "build" / "debug" / "juststorage", self.binary)
            self.environment["JUSTSTORAGE_BIN"] = str(self.binary)

    def run(self, test, mutant=None):
        """Whether the test passes, how many of its cases did, and what failed first."""
        environment = {**self.environment, switched.VARIABLE: mutant} if mutant else self.environment
        process = subprocess.Popen([self.path, *split(test)[2]], cwd=self.directory, stdout=subprocess.PIPE,
                                   stderr=subprocess.DEVNULL, text=True, env=environment)
        late = threading.Timer(TEST_MAX, process.kill)
        late.start()
        failed, ran = None, 0
        for line in process.stdout:
            ran += line.startswith("test ") and line.endswith("ok\n")
            # The name may stand before what the test itself prints.
            if line.endswith("FAILED\n") and line.startswith("test ") and not line.startswith("test result"):
                failed = line.split()[1]
                process.kill()
                break
        process.stdout.close()
        passed = process.wait() == 0 and failed is None
        late.cancel()
        return passed, ran, failed or "the process died or did not end"

    def remove(self):
        self.path.unlink()
        self.binary.unlink(missing_ok=True)


def cargo(command, *arguments):
    # With the features of the whole workspace, so that they are the same for every test and nothing is built twice. The core is
    # not optimised: that takes longer than its tests gain by it.
    done = subprocess.run(["cargo", command, "--config", "profile.dev.package.juststorage-core.opt-level=0", "--workspace",
                           *arguments, "--locked", "--ignore-rust-version"], cwd=TREE, capture_output=True, text=True)
    if done.returncode != 0:
        raise Unbuilt(done.stderr)
    return done.stdout


def name_of(manifest):
    return tomllib.loads(pathlib.Path(manifest).read_text())["package"]["name"]


def write(texts):
    """Puts files into the copy; those that are the same keep their time."""
    for path, text in texts.items():
        file = TREE / path.relative_to(ROOT)
        if file.read_bytes() != text:
            file.write_bytes(text)


class Campaign:
    """Mutants, and the verdict on each: `caught`, `SURVIVED`, or `stale`."""

    def __init__(self, entries):
        self.verdicts, self.sound, self.number = [], set(), 0
        self.changes, tree = {}, table.Tree()
        for entry in entries:
            try:
                self.changes[entry] = entry.apply(tree)
            except Stale as why:
                self.report(entry, "stale", 0, 0, str(why))
        self.together = switched.Switched(tree.folders.values())
        self.alone = [entry for entry, change in self.changes.items() if not self.together.add(entry, change)]
        self.runs = concurrent.futures.ThreadPoolExecutor(max_workers=1)
        self.running = collections.deque()

    def run(self):
        try:
            self.build_together()
            self.build_alone()
            while self.running:
                self.running.popleft().result()
        finally:
            self.runs.shutdown(cancel_futures=True)

    def later(self, job, *arguments):
        """Runs tests while the next program is built; no more than one program waits."""
        self.running.append(self.runs.submit(job, *arguments))
        while len(self.running) > 2:
            self.running.popleft().result()

    def build_together(self):
        programs = collections.defaultdict(list)
        for entry in self.changes:
            package, words, _ = split(entry.test)
            programs[package, *words].append(entry)
        for _, entries in sorted(programs.items()):
            self.build_switched(entries)

    def build_switched(self, entries):
        """One program for mutants of one test program. What does not compile beside the others is built alone."""
        begun = time.monotonic()
        while entries := [entry for entry in entries if entry not in self.alone]:
            write(self.together.texts())
            try:
                program = self.program(entries[0].test)
            except Unbuilt as said:
                blamed = self.together.blame(str(said), ROOT)
                if not blamed:
                    sys.exit(f"the tree does not build:\n{str(said)[-2000:]}")
                # Their bodies go out of the files, which have no others perhaps.
                write({change.path: change.whole for entry, change in self.changes.items() if entry.name in blamed})
                self.alone += [entry for entry in self.changes if entry.name in blamed]
                continue
            _, words, _ = split(entries[0].test)
            print(f"{'built':9} {' '.join(words)} with {len(entries)} mutants: {time.monotonic() - begun:.0f} s", flush=True)
            self.later(self.judge_switched, program, entries)
            return

    def judge_switched(self, program, entries):
        for test in dict.fromkeys(entry.test for entry in entries):
            self.prove(program, test)
            for entry in entries:
                if entry.test == test:
                    self.judge(entry, program, 0, entry.name)
        program.remove()

    def build_alone(self):
        write({change.path: change.whole for change in self.changes.values()})
        copy_tree()
        unproved = {entry.test for entry in self.alone} - self.sound
        for test in sorted(unproved):
            try:
                self.later(self.prove_alone, self.program(test), test)
            except Unbuilt as said:
                sys.exit(f"the tree does not build:\n{str(said)[-2000:]}")
        for entry in self.alone:
            change, begun = self.changes[entry], time.monotonic()
            write({change.path: change.mutant})
            try:
                program = self.program(entry.test)
            except Unbuilt as said:
                self.report(entry, "stale", time.monotonic() - begun, 0, "does not compile:\n" + str(said)[-2000:])
            else:
                self.later(self.judge_alone, entry, program, time.monotonic() - begun)
            write({change.path: change.whole})

    def prove_alone(self, program, test):
        self.prove(program, test)
        program.remove()

    def judge_alone(self, entry, program, building):
        self.judge(entry, program, building)
        program.remove()

    def program(self, test):
        package, words, _ = split(test)
        self.number += 1
        return Program(package, words, f"program-{self.number}")

    def prove(self, program, test):
        """The test passes without a mutant."""
        if test in self.sound:
            return
        begun = time.monotonic()
        passed, ran, failed = program.run(test)
        sound = passed and ran > 0
        print(f"{'whole' if sound else 'BROKEN':9} {test}: {time.monotonic() - begun:.0f} s", flush=True)
        if not sound:
            sys.exit(f"{test} proves nothing without a mutant: {'no test ran' if passed else failed}")
        self.sound.add(test)

    def judge(self, entry, program, building, mutant=None):
        begun = time.monotonic()
        passed, _, failed = program.run(entry.test, mutant)
        verdict, detail = ("SURVIVED", entry.test) if passed else ("caught", f"{entry.test}: {failed}")
        self.report(entry, verdict, building, time.monotonic() - begun, detail)

    def report(self, entry, verdict, building, running, detail):
        self.verdicts.append(verdict)
        print(f"{verdict:9} {entry.name:24} {building:5.0f} s + {running:4.0f} s  {detail}", flush=True)


def campaign(entries):
    """Whether every mutant was caught."""
    os.environ["RUST_BACKTRACE"] = "0"
    # One of its own: cargo tells packages apart by their place in the workspace, and would take a mutant for the real one.
    os.environ["CARGO_TARGET_DIR"] = str(WORK / "build")
    copy_tree()
    whole = Campaign(entries)
    whole.run()
    caught = whole.verdicts.count("caught")
    print(f"{caught} of {len(whole.verdicts)} mutants caught")
    return caught == len(whole.verdicts)
