"""Functions that hold the bodies of their mutants."""

import pathlib
import tempfile
import unittest

from mutation import source, switched, table

SOURCE = """fn first(on: bool) -> bool {
    on && other()
}
pub const fn fixed() -> u8 { 1 }
fn many() -> impl Iterator<Item = u8> { [1].into_iter() }
fn boxed() -> Box<dyn Fn()> { make(|| 1) }
fn outer() { fn inner() { go(); } inner(); }
const TEXT: &str = "BEGIN IMMEDIATE";
"""


class Switched(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        (self.folder / "src").mkdir()
        self.lib, self.file = self.folder / "src/lib.rs", self.folder / "src/a.rs"
        self.lib.write_text("mod a;\n")
        self.file.write_text(SOURCE)
        self.package = source.Package(self.folder)
        self.tree = switched.Switched([self.folder])

    def add(self, name, item, line):
        found = self.package.find(item)
        whole = self.package.texts[self.file]
        change = table.Change(self.file, whole, table.carry_out(line, found.node, whole), found)
        return self.tree.add(table.Entry(name, {}), change)

    def test_a_function_has_the_bodies_of_its_mutants_and_its_own(self):
        self.assertTrue(self.add("a", "first", "without other"))
        self.assertTrue(self.add("b", "first", "condition on true"))
        texts = self.tree.texts()
        self.assertIn('''bool { if crate::mutant_is("a") {
    on
}
else
 if crate::mutant_is("b") {
    true && other()
}
else
{
    on && other()
}}
pub const fn''', texts[self.file].decode())
        self.assertIn("pub fn mutant_is", texts[self.lib].decode())
        self.assertFalse(source.parse(texts[self.file]).has_error)

    def test_what_cannot_stand_beside_itself_is_left_out(self):
        self.assertFalse(self.add("a", "fixed", "swap 1 2"))
        self.assertFalse(self.add("b", "many", "swap 1 2"))
        self.assertFalse(self.add("c", "TEXT", "sql-drop-word IMMEDIATE"))
        self.assertTrue(self.add("d", "boxed", "swap 1 2"))
        self.assertTrue(self.add("e", "outer", "drop inner"))
        self.assertFalse(self.add("f", "outer::inner", "drop go"))

    def test_an_error_of_the_compiler_is_laid_to_one_mutant(self):
        self.add("a", "first", "without other")
        self.add("b", "first", "condition on true")
        self.tree.texts()
        said = "warning: unused\n --> src/a.rs:2:1\nerror[E0308]: mismatched types\n --> src/a.rs:5:5\n  |\n"
        self.assertEqual(self.tree.blame(said, self.folder), {"b"})
        self.assertEqual(list(self.tree.changes), ["a"])
        self.tree.texts()
        self.assertEqual(self.tree.blame("error: no\n --> src/b.rs:2:1\n", self.folder), set())


if __name__ == "__main__":
    unittest.main()
