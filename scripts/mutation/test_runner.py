"""A campaign over the table as it is, with programs that are not built."""

import contextlib
import io
import pathlib
import tempfile
import unittest
from unittest import mock

from mutation import runner, table

# Two in one function, one in another program, one that is no body of a function.
NAMES = ("copy-told", "mark-expected", "old-tier-looked-at", "crc-index", "begin-immediate", "commit-behind-a-miss")


class Program:
    """Fails with the mutants it is told to; `unbuilt` says what the compiler says of a tree."""

    caught = set(NAMES)
    broken = set()
    made = []

    def __init__(self, package, words, name):
        self.files = {path: path.read_bytes() for path in runner.TREE.rglob("*.rs")}
        if (said := self.unbuilt(self.files)) is not None:
            raise runner.Unbuilt(said)
        self.made.append((package, *words))

    @staticmethod
    def unbuilt(files):
        return None

    def run(self, test, mutant=None):
        # Alone a mutant is in the text of the program, and no variable names it.
        alone = b"OR 1 = 1" in b"".join(self.files.values())
        mutant = mutant or ("commit-behind-a-miss" if alone else None)
        if test in self.broken:
            return False, 0, "it"
        return mutant is None or mutant not in self.caught, 1, "it"

    def remove(self):
        pass


class Campaign(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.entries, _ = table.load()
        self.patched = [mock.patch.object(runner, "TREE", pathlib.Path(folder.name)),
                        mock.patch.object(runner, "copy_tree", self.copy)]
        Program.made, Program.caught, Program.broken = [], set(NAMES), set()

    def copy(self):
        for path in (table.ROOT / "core/src").rglob("*.rs"):
            file = runner.TREE / path.relative_to(table.ROOT)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(path.read_bytes())

    def verdicts(self, names=NAMES, unbuilt=lambda files: None):
        said = io.StringIO()
        with contextlib.ExitStack() as stack:
            for patch in (*self.patched, mock.patch.object(runner, "Program", Program),
                          mock.patch.object(Program, "unbuilt", staticmethod(unbuilt))):
                stack.enter_context(patch)
            stack.enter_context(contextlib.redirect_stdout(said))
            self.whole = runner.campaign([self.entries[name] for name in names])
        lines = [line.split() for line in said.getvalue().splitlines()]
        return {line[1]: line[0] for line in lines if line and line[0] in ("caught", "SURVIVED", "stale")}

    def test_mutants_of_one_program_are_built_together_and_the_others_alone(self):
        self.assertEqual(self.verdicts(), dict.fromkeys(NAMES, "caught"))
        self.assertTrue(self.whole)
        # Two programs with mutants, one without any to prove a test, and one for the mutant of a constant.
        self.assertEqual([words for _, *words in Program.made], [["--lib"], ["--test", "segments"], ["--lib"], ["--lib"]])

    def test_one_that_no_test_notices_survives(self):
        Program.caught = set(NAMES) - {"mark-expected"}
        self.assertEqual(self.verdicts()["mark-expected"], "SURVIVED")
        self.assertFalse(self.whole)

    def test_one_that_does_not_compile_goes_alone_and_is_stale_then(self):
        identity = runner.ROOT / "core/src/domain/identity.rs"

        def unbuilt(files):
            text = files[runner.TREE / identity.relative_to(runner.ROOT)]
            for line, content in enumerate(text.split(b"\n"), 1):
                if b"Ok(TierStep::Carries(TierMark" in content:
                    return f"error[E0001]: no\n  --> core/src/domain/identity.rs:{line}:9\n"
            return None

        verdicts = self.verdicts(unbuilt=unbuilt)
        self.assertEqual(verdicts.pop("mark-expected"), "stale")
        self.assertEqual(set(verdicts.values()), {"caught"})

    def test_a_test_that_fails_without_a_mutant_ends_the_campaign(self):
        Program.broken = {self.entries["crc-index"].test}
        with self.assertRaisesRegex(SystemExit, "--test segments proves nothing without a mutant"):
            self.verdicts()

    def test_a_tree_that_does_not_build_ends_it(self):
        with self.assertRaisesRegex(SystemExit, "the tree does not build:\nerror: no"):
            self.verdicts(unbuilt=lambda files: "error: no\n --> core/src/lib.rs:1:1\n")


if __name__ == "__main__":
    unittest.main()
