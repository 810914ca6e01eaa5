"""Each operator on a few lines of Rust, and how entries name a place."""

import pathlib
import tempfile
import unittest

from mutation import source, table
from mutation.source import Stale

SOURCE = """
impl Pack {
    pub async fn append(&mut self, records: &[Record]) -> Result<u64, Error> {
        if records.is_empty() || self.size > MAX && !self.sealed {
            return Err(Error::Full);
        }
        self.write(records).await?;
        sync_file(&self.file)?;
        for record in self.found(records) {
            self.note(record.id, 7, None);
        }
        let first = *self.firsts.entry(place).or_insert(record.seq);
        let seen = self.known.get(&first).cloned().filter(|known| known.is_old());
        if let Some(error) = self.failure.take() { return Err(error); }
        match self.state {
            State::Open | State::New if self.size < MAX => sync_directory(&self.path)?,
            State::Sealed => return Err(Error::Sealed),
            _ => {}
        }
        let placed = Placed { offset: first, class };
        watched(&self.file, || self.file.sync_data())
    }
}
fn update(db: &Database) -> Result<bool, Fault> {
    transaction!(db, |tx| {
        let done = tx.query(sql!(
            "UPDATE leases SET epoch = epoch + 1, holder = $2, until = MAX($3, until) \\
             WHERE name = $1 AND l.epoch <= $4 AND NOT EXISTS (SELECT 1 FROM kept k WHERE k.id = (leases.id))",
            for_update
        ));
        done.changed == 1
    })
}
fn wait(&self) {
    tokio::select! {
        done = progress.of(self.step()) => tell(done),
        () = stop.cancelled(), if self.lasts() => {}
        else => match self.ended { Ended::Late => late = true, Ended::Over => {} }
    }
}
const BEGIN: &str = "SET synchronous_commit TO 'on'; BEGIN IMMEDIATE FOR SHARE OF u FOR UPDATE OF s";
"""


def mutant(item, *lines, text=SOURCE):
    """The lines that operators take away and put in."""
    file = pathlib.Path("pack.rs")
    [found] = [one for one in source.items(source.parse(text.encode()), file, []) if one.answers_to(item)]
    entry = text.encode()
    for line in lines:
        node = table.again(entry, found)
        entry = table.carry_out(line, node, entry)
    before, after = text.splitlines(), entry.decode().splitlines()
    gone = [line.strip() for line in before if line not in after]
    return gone, [line.strip() for line in after if line not in before and line.strip()]


class Operators(unittest.TestCase):
    def gives(self, line, *expected, item="append"):
        lines = [line] if isinstance(line, str) else line
        self.assertEqual(mutant(item, *lines)[1], list(expected), line)

    def is_stale(self, line, why, item="append"):
        with self.assertRaisesRegex(Stale, why):
            mutant(item, line)

    def test_statements(self):
        self.assertEqual(mutant("append", "drop sync_file"), (["sync_file(&self.file)?;"], []))
        self.gives("drop sync_directory", "State::Open | State::New if self.size < MAX => {},")
        self.gives("hang sync_file", "std::future::pending::<()>().await; sync_file(&self.file)?;")
        self.gives("reverse records write",
                   "let records: Vec<_> = records.into_iter().rev().collect(); self.write(records).await?;")

    def test_conditions(self):
        self.gives("condition is_empty false", "if false || self.size > MAX && !self.sealed {")
        self.gives("condition sealed true", "if records.is_empty() || self.size > MAX && true {")
        self.gives("condition is_old true",
                   "let seen = self.known.get(&first).cloned().filter(|known| true);")
        self.gives("condition failure false",
                   "if let Some(error) = self.failure.take() && false { return Err(error); }")
        self.gives("condition size false near New", "State::Open | State::New if false => sync_directory(&self.path)?,")
        self.gives("regardless sealed false", "if records.is_empty() || self.size > MAX && (!self.sealed, false).1 {")
        self.gives("negate sealed", "if records.is_empty() || self.size > MAX && self.sealed {")
        self.gives("negate is_empty", "if !(records.is_empty()) || self.size > MAX && !self.sealed {")
        self.gives("without sealed", "if records.is_empty() || self.size > MAX {")
        self.gives("without is_empty", "if self.size > MAX && !self.sealed {")
        self.gives("sign size < <=", "State::Open | State::New if self.size <= MAX => sync_directory(&self.path)?,")
        self.gives("sign is_empty || &&", "if records.is_empty() && self.size > MAX && !self.sealed {")
        self.gives("condition changed true", "true", item="update")
        self.is_stale("condition failure true", "finds nothing")

    def test_values(self):
        self.gives("value watched Ok(())", "Ok(())")
        self.gives("value cloned None", "let seen = None;")
        self.gives("argument note 3 &[]", "self.note(record.id, 7, &[]);")
        self.gives("keep-argument or_insert", "let first = record.seq;")
        self.gives("keep-argument of", "done = self.step() => tell(done),", item="wait")
        self.gives("unlink filter", "let seen = self.known.get(&first).cloned();")
        self.gives("empty cloned",
                   "let seen = self.known.get(&first).cloned().filter(|_| false).filter(|known| known.is_old());")
        self.gives("retry watched",
                   "watched(&self.file, || self.file.sync_data()).or_else(|_| watched(&self.file, || self.file.sync_data()))")
        self.gives("field offset 0", "let placed = Placed { offset: 0, class };")
        self.gives("field class None", "let placed = Placed { offset: first, class: None };")
        self.gives("swap 7 8", "self.note(record.id, 8, None);")
        self.gives("swap Error::Full Error::Sealed near MAX", "return Err(Error::Sealed);")
        self.gives("skip-loop found", "for record in self.found(records).into_iter().take(0) {")
        self.gives("return Ok(())", "pub async fn append(&mut self, records: &[Record]) -> Result<u64, Error> { Ok(()) }")

    def test_spawned_work_runs_inside(self):
        text = "fn forget() { let gone = tokio::spawn(async move { forget_all().await }); }"
        self.assertEqual(mutant("forget", "no-spawn forget_all", text=text)[1],
                         ["fn forget() { let gone = async { Ok::<_, tokio::task::JoinError>("
                          "(async move { forget_all().await }).await) }; }"])

    def test_arms(self):
        self.gives("arm Sealed None", "State::Sealed => None,")
        self.gives("arm Open+New {}", "State::Open | State::New if self.size < MAX => {},")
        self.gives("arm-fails _ Error::Internal", "_ => return Err(Error::Internal),")
        self.gives("arm Late {}", "else => match self.ended { Ended::Late => {}, Ended::Over => {} }", item="wait")
        self.gives("arm-as Sealed _", "State::Sealed => {},")
        self.gives("arm _ Ok(())", "_ => Ok(()),")
        self.assertEqual(mutant("append", "drop-arm Sealed")[0], ["State::Sealed => return Err(Error::Sealed),"])
        self.gives("any Sealed", "_ => return Err(Error::Sealed),")
        self.gives("drop-alternative New", "State::Open if self.size < MAX => sync_directory(&self.path)?,")

    def test_tokens(self):
        gone, _ = mutant("update", "drop-token for_update")
        self.assertEqual(gone[-1], "for_update")

    def test_sql(self):
        where = "WHERE name = $1 AND l.epoch <= $4 AND NOT EXISTS (SELECT 1 FROM kept k WHERE k.id = (leases.id))\","
        self.gives("sql-true l.epoch", where.replace("l.epoch <= $4", "(l.epoch <= $4 OR 1 = 1)"), item="update")
        self.gives("sql-false epoch", where.replace("l.epoch <= $4", "(l.epoch <= $4 AND 1 = 0)"), item="update")
        self.gives("sql-compare epoch <= =", where.replace("<=", "="), item="update")
        self.gives("sql-true-exists kept",
                   where.replace("NOT EXISTS", "(NOT EXISTS").replace('.id))"', '.id)) OR 1 = 1)"'), item="update")
        update = '"UPDATE leases SET epoch = epoch + 1, holder = $2, until = MAX($3, until) \\'
        self.gives("sql-keep holder", update.replace("$2", "CASE WHEN 1 = 0 THEN $2 ELSE holder END"), item="update")
        self.gives("sql-keep until",
                   update.replace("MAX($3, until)", "CASE WHEN 1 = 0 THEN MAX($3, until) ELSE until END"), item="update")
        self.gives("sql-zero holder", update.replace("$2", "$2 * 0"), item="update")
        self.gives("sql-add epoch 0", update.replace("+ 1", "+ 0"), item="update")
        begin = "const BEGIN: &str = \"SET synchronous_commit TO 'on'; BEGIN IMMEDIATE FOR SHARE OF u FOR UPDATE OF s\";"
        self.gives("sql-setting synchronous_commit off", begin.replace("'on'", "'off'"), item="BEGIN")
        self.gives("sql-drop-word IMMEDIATE", begin.replace(" IMMEDIATE", ""), item="BEGIN")
        self.gives("sql-unlock u", begin.replace(" FOR SHARE OF u", ""), item="BEGIN")
        # An assignment is no condition, and a condition no assignment.
        self.is_stale("sql-true holder", "finds nothing", item="update")
        self.is_stale("sql-keep name", "finds nothing", item="update")

    def test_several_operators_go_one_after_the_other(self):
        self.gives(["without sealed", "without size near is_empty"], "if records.is_empty() {")

    def test_stale_entries_say_how_to_mend_them(self):
        self.is_stale("drop gone", "`drop gone` finds nothing there: name what does that work now")
        self.is_stale("swap size width", "finds 2 places, in lines 4, 16: add `near NAME`")
        self.is_stale("forget size", "there is no operator forget: there are any, argument")
        self.is_stale("swap size", "swap takes NAME NAME")
        self.is_stale("drop sync_file nearby size", "only `near NAME` and `nth NUMBER`")

    def test_an_argument_is_a_name_and_no_line_of_code(self):
        self.is_stale("value watched self.file.sync_all()?", "is no VALUE")
        self.is_stale("condition size maybe", "maybe is no BOOLEAN")
        self.is_stale("sign size < =>", "=> is no SIGN")


class Places(unittest.TestCase):
    def package(self, files):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for name, text in files.items():
            path = pathlib.Path(folder.name) / "src" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return source.Package(pathlib.Path(folder.name))

    def test_an_item_is_found_wherever_it_stands(self):
        for file in ("lib.rs", "pack.rs", "tier/pack/mod.rs"):
            found = self.package({file: SOURCE}).find("Pack::append")
            self.assertEqual(found.path[-2:], ["Pack", "append"])

    def test_a_path_is_as_long_as_it_must_be(self):
        package = self.package({"a.rs": "fn read() {}", "b/mod.rs": "fn read() {}", "b/tests.rs": "fn read() {}",
                                "c.rs": "impl Read for C { fn read() {} }\n#[cfg(test)]\nmod tests { fn read() {} }"})
        self.assertEqual(str(package.find("b::read")), "b::read")
        self.assertEqual(str(package.find("C::read")), "c::<C as Read>::read")
        self.assertEqual(str(package.find("<C as Read>::read")), "c::<C as Read>::read")
        with self.assertRaisesRegex(Stale, "3 items are called read: write one of a::read, b::read, c::<C as Read>::read"):
            package.find("read")

    def test_an_item_that_moved_is_named(self):
        package = self.package({"a.rs": "impl Tally { fn write() {} }"})
        with self.assertRaisesRegex(Stale, "nothing is called Counts::write: is it one of a::Tally::write now?"):
            package.find("Counts::write")
        with self.assertRaisesRegex(Stale, "nothing is called gone"):
            package.find("gone")


class Tables(unittest.TestCase):
    def test_two_of_one_name_are_a_finding(self):
        entries, findings = table.read([("a.toml", 'x = { test = "one" }'), ("b.toml", 'x = { test = "two" }')])
        self.assertEqual((list(entries), findings), (["x"], ["x: there are two with this name"]))

    def test_an_entry_has_a_place_and_an_operator_or_a_foreign_key(self):
        for fields in ({"in": "a"}, {"operator": "drop b"}, {"schema": "a.b", "in": "a", "operator": "drop b"}, {}):
            self.assertRegex(table.Entry("x", {**fields, "test": "one"}).check(), "`in` and `operator`, or `schema`")
        self.assertRegex(table.Entry("x", {"test": "one", "schema": "a.b", "old": "c"}).check(), "it has old")

    def test_a_foreign_key_goes(self):
        schema = "CREATE TABLE a (\n    id   BLOB,\n    b_id BLOB NOT NULL REFERENCES b (id),\n    n INTEGER\n) STRICT;\n"
        self.assertEqual(table.sql.without_reference(schema, "a.b_id"), schema.replace(" REFERENCES b (id)", ""))
        for place in ("a.id", "a.gone", "gone.b_id"):
            with self.assertRaisesRegex(Stale, "has no column"):
                table.sql.without_reference(schema, place)


if __name__ == "__main__":
    unittest.main()
