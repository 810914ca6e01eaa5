//! The documents' own commands: every code block whose fence says `test` is run, in order, as one session
//! per document, and a `text` block behind one is what it must print.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use juststorage_compat_tests::{Database, Server, binary, python};

/// Stands between the output of two blocks.
const SEAM: &str = "--- block ---";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_readme_works_as_printed() {
    run("README.md").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_quickstart_works_as_printed() {
    run("docs/quickstart.md").await;
}

/// One command block, and lines that it must print. `…` in a line stands for anything.
struct Block {
    language: String,
    commands: String,
    printed: Vec<String>,
}

async fn run(document: &str) {
    let text = std::fs::read_to_string(binary::workspace().join(document)).unwrap();
    let blocks = blocks(&text);
    assert!(!blocks.is_empty(), "{document} has no tested block");
    let server = Server::start(Database::Sqlite).await;
    let address = |url: &str| url.trim_start_matches("http://").to_owned();
    let script = session(&blocks)
        .replace("127.0.0.1:8080", &address(server.native_url()))
        .replace("127.0.0.1:9000", &address(server.s3_url()));

    let directory = tempfile::tempdir().unwrap();
    let data = server.data().to_owned();
    let output = tokio::task::spawn_blocking(move || shell(&script, directory.path(), &data)).await.unwrap();
    let (printed, errors) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{document}: {}\n{printed}\n{errors}", output.status);
    let parts: Vec<_> = printed.split(SEAM).skip(1).collect();
    assert_eq!(parts.len(), blocks.len(), "{document}:\n{printed}\n{errors}");
    for (block, part) in blocks.iter().zip(parts) {
        for line in &block.printed {
            assert!(
                part.lines().any(|found| matches(found.trim_end(), line)),
                "{document}: no line {line:?} from\n{}\nbut\n{part}\n{errors}",
                block.commands
            );
        }
    }
}

/// All blocks as one shell session, since later ones use what earlier ones set.
fn session(blocks: &[Block]) -> String {
    blocks.iter().fold(String::new(), |mut script, block| {
        match block.language.as_str() {
            "sh" => write!(script, "echo '{SEAM}'\n{}\n", block.commands),
            "python" => write!(script, "echo '{SEAM}'\npython3 - <<'BLOCK'\n{}\nBLOCK\n", block.commands),
            other => panic!("no way to run {other}"),
        }
        .unwrap();
        script
    })
}

fn shell(script: &str, directory: &Path, data: &Path) -> std::process::Output {
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(directory)
        .stdin(Stdio::null())
        .env("PATH", path())
        .env("JUSTSTORAGE_DATA_DIR", data)
        // The developer's own configuration and proxies are no part of the test.
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
        .env("NO_PROXY", "127.0.0.1")
        .output()
        .unwrap()
}

/// Where curl, `aws`, the program and a Python with boto3 are; they are installed if they are missing.
fn path() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let prepared = Command::new(binary::workspace().join("scripts/prepare"))
            .args(["python", "tools"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
        let python = PathBuf::from(python::interpreter());
        let cache = PathBuf::from(std::env::var("HOME").unwrap()).join(".cache/juststorage/bin");
        let python = python.parent().expect("a path to an interpreter");
        let program = binary::path().parent().expect("a path to the program");
        let places = [python, cache.as_path(), program].map(|place| place.display().to_string()).join(":");
        format!("{places}:{}", std::env::var("PATH").unwrap())
    })
}

fn blocks(document: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut lines = document.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else { continue };
        let body: Vec<_> = lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
        match fence.split_once(' ') {
            Some((language, "test")) => blocks.push(Block {
                language: language.to_owned(),
                commands: body.join("\n"),
                printed: Vec::new(),
            }),
            None if fence == "text" => {
                blocks.last_mut().expect("output stands behind commands").printed.extend(body);
            }
            _ => {}
        }
    }
    blocks
}

/// Whether `line` is what `pattern` says.
fn matches(line: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut open = false;
    for piece in pieces {
        let Some((_, behind)) = rest.split_once(piece) else { return false };
        rest = behind;
        open = piece.is_empty();
    }
    open || rest.is_empty()
}

/// A pattern that matched everything would let every document pass.
#[test]
fn patterns_hold() {
    assert!(matches("content-type: a/b", "…a/b") && matches("abc", "a…") && matches("abc", "abc"));
    assert!(!matches("abcd", "abc") && !matches("content-type: a/b;x", "…a/b") && !matches("xabc", "abc"));
}
