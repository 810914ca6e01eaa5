//! docs/leaving-minio.md, line by line: the server has the variables of MinIO, the lines are run with the real `mc`, and
//! each must end as the page says.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use juststorage_compat_tests::{Database, Options, Server, binary, s3, tools};

const USER: &str = "minioadmin";
const PASSWORD: &str = "minioadmin-of-2026";

/// A line of the tables, and what the page says of it.
struct Line {
    command: String,
    /// A piece of the message with which it is refused; `None`: it works.
    refused: Option<String>,
}

fn lines(page: &str) -> Vec<Line> {
    let rows = page.lines().filter_map(|row| row.strip_prefix("| `")?.strip_suffix(" |"));
    let read = |row: &str| {
        let (command, outcome) = row.rsplit_once("` | ")?;
        let refused = match outcome {
            "works" => None,
            other => Some(other.strip_prefix("refused: ")?.to_owned()),
        };
        Some(Line { command: command.to_owned(), refused })
    };
    rows.filter_map(read).collect()
}

fn run(command: &str, server: &Server, home: &Path) -> Output {
    let address = server.s3_url().trim_start_matches("http://");
    Command::new("bash")
        .args(["-euc", &command.replace("127.0.0.1:9000", address)])
        .current_dir(home)
        .env("HOME", home)
        .env("MC_CONFIG_DIR", home.join("mc"))
        .env("MC_DISABLE_PAGER", "1")
        .env("PATH", tools::path())
        .env("NO_PROXY", "127.0.0.1")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_the_page_ends_as_it_says() {
    if !tools::are_there("docs/leaving-minio.md", &["mc", "curl"]) {
        return;
    }
    let page = std::fs::read_to_string(binary::workspace().join("docs/leaving-minio.md")).unwrap();
    let lines = lines(&page);
    assert!(lines.len() > 30, "the page has {} lines", lines.len());
    for (name, value) in [("MINIO_ROOT_USER", USER), ("MINIO_ROOT_PASSWORD", PASSWORD)] {
        assert!(page.contains(&format!("{name}: {value} ")), "the compose file has another {name}");
    }
    let settings = vec![("MINIO_ROOT_USER", USER.to_owned()), ("MINIO_ROOT_PASSWORD", PASSWORD.to_owned())];
    let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::default() }).await;
    assert!(server.log().contains("MINIO_ROOT_USER and MINIO_ROOT_PASSWORD are the root S3 credential"));
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("hello.txt"), "hello\n").unwrap();
    std::fs::create_dir(home.path().join("folder")).unwrap();
    std::fs::write(home.path().join("folder/one.txt"), "one\n").unwrap();

    let mut wrong = String::new();
    for Line { command, refused } in &lines {
        let output = run(command, &server, home.path());
        let said =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let as_said = match refused {
            None => output.status.success(),
            Some(piece) => !output.status.success() && said.to_lowercase().contains(&piece.to_lowercase()),
        };
        if !as_said {
            writeln!(wrong, "{command}: {}\n{said}", output.status).unwrap();
        }
    }
    assert!(wrong.is_empty(), "these lines do not end as the page says:\n{wrong}");
    // What they left behind.
    let client = s3::client(server.s3_url(), USER, PASSWORD);
    let versions = client.list_object_versions().bucket("photos").send().await.unwrap();
    assert!(versions.versions().len() >= 2 && versions.delete_markers().len() == 1, "{versions:?}");
}
