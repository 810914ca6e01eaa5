//! What `key create` prints to paste, pasted as it is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use juststorage_compat_tests::{Database, Options, Server, python, tools};

/// Runs `text` in a shell or in Python, with a home of its own, and returns what it prints.
fn run(interpreter: &str, text: &str, home: &Path) -> String {
    let output = Command::new(interpreter)
        .args([if interpreter == "bash" { "-euc" } else { "-c" }, text])
        .current_dir(home)
        .env("HOME", home)
        .env("PATH", tools::path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
        .env("NO_PROXY", "127.0.0.1")
        // Of the machine's own way to the internet, which is not meant.
        .env_remove("AWS_CA_BUNDLE")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// What `key create` prints for people, in two: what is to be pasted first, and then the parts behind their names.
struct Printed {
    exports: String,
    parts: String,
}

impl Printed {
    fn of(server: &Server, kind: &str, more: &[&str]) -> Self {
        let printed =
            server.run_here(&[&["key", "create", "--kind", kind, "--tenant", "acme"], more].concat());
        let (_, block) = printed.split_once("\n\n").unwrap();
        let (exports, parts) = block.split_once("\n\n").unwrap();
        let secret = |line: &&str| line.contains("TOKEN=") || line.contains("SECRET_ACCESS_KEY=");
        let (_, secret) = exports.lines().find(secret).unwrap().split_once('=').unwrap();
        server.made(secret);
        Self { exports: exports.to_owned(), parts: format!("\n{parts}") }
    }

    /// What stands behind the line `# name`, up to the next such line.
    fn part(&self, name: &str) -> &str {
        let (_, rest) = self.parts.split_once(&format!("\n# {name}\n")).expect(name);
        rest.split("\n# ").next().unwrap()
    }

    fn shell(&self, name: &str, home: &Path) -> String {
        run("bash", &format!("{}\n{}", self.exports, self.part(name)), home)
    }
}

async fn server() -> Server {
    let settings = vec![("JUSTSTORAGE_AUTH", "required".to_owned())];
    Server::start_with(Database::Sqlite, Options { settings, ..Options::default() }).await
}

#[tokio::test]
async fn what_an_api_key_prints_works() {
    let server = server().await;
    let printed = Printed::of(&server, "api", &[]);
    let home = tempfile::tempdir().unwrap();
    let said = printed.shell("curl", home.path());
    assert!(said.contains("\"namespace\":\"demo\"") && said.contains("hello\n{"), "{said}");
    assert!(said.contains("\"logical_bytes\":6"), "{said}");

    let bound = ["--namespace", "models", "--prefix", "it's 100%/é/"];
    let said = Printed::of(&server, "api", &bound).shell("curl", home.path());
    assert!(said.contains("hello\n{") && said.matches("it's 100%/é/hello.txt").count() == 2, "{said}");
}

#[tokio::test]
async fn what_an_s3_key_prints_works() {
    if !tools::are_there("what `key create` prints", &["aws", "curl", "rclone"]) {
        return;
    }
    let server = server().await;
    let printed = Printed::of(&server, "s3", &[]);
    let home = tempfile::tempdir().unwrap();
    let home = home.path();

    let said = printed.shell("aws", home);
    assert!(said.lines().last().unwrap().ends_with(" 6 hello.txt"), "{said}");
    let said = printed.shell("curl", home);
    assert!(said.contains("<Name>acme-demo</Name>"), "{said}");
    let use_it = "print([bucket['Name'] for bucket in s3.list_buckets()['Buckets']])";
    let said = run(&python::interpreter(), &format!("{}\n{use_it}", printed.part("boto3")), home);
    assert_eq!(said.trim(), "['acme-demo']");
    let file = ".config/rclone/rclone.conf";
    std::fs::create_dir_all(home.join(file).parent().unwrap()).unwrap();
    std::fs::write(home.join(file), printed.part(&format!("rclone, in ~/{file}"))).unwrap();
    assert_eq!(run("bash", "rclone cat juststorage:acme-demo/hello.txt", home), "hello\n");

    server.run_here(&["bucket", "create", "models", "--tenant", "acme"]);
    let bound = Printed::of(&server, "s3", &["--namespace", "models", "--prefix", "it's 100%/é/"]);
    let said = bound.shell("aws", home);
    assert!(said.lines().last().unwrap().ends_with(" 6 hello.txt"), "{said}");
}
