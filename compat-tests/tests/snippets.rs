//! What `key create` prints to paste, pasted as it is printed.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::Command;

use juststorage_compat_tests::{Database, Options, Server, tools};

/// Runs `text` in a shell or in Python, with a home of its own, and returns what it prints.
fn run(interpreter: &str, text: &str, home: &Path) -> String {
    let output = Command::new(interpreter)
        .args(if interpreter == "bash" { &["-euc", text][..] } else { &["-c", text] })
        .current_dir(home)
        .env("HOME", home)
        .env("PATH", tools::path())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
        .env("NO_PROXY", "127.0.0.1")
        .env("no_proxy", "127.0.0.1")
        .env_remove("AWS_CA_BUNDLE")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// What stands behind the line `# name`, up to the next such line.
fn part<'t>(printed: &'t str, name: &str) -> &'t str {
    let (_, rest) = printed.split_once(&format!("\n# {name}")).unwrap_or_else(|| panic!("{name}: {printed}"));
    let (_, rest) = rest.split_once('\n').unwrap();
    rest.split("\n# ").next().unwrap()
}

async fn server() -> Server {
    let settings = vec![("JUSTSTORAGE_AUTH", "required".to_owned())];
    Server::start_with(Database::Sqlite, Options { settings, ..Options::default() }).await
}

#[tokio::test]
async fn what_an_api_key_prints_works() {
    let server = server().await;
    let printed = server.run_here(&["key", "create", "--kind", "api", "--tenant", "acme"]);
    let home = tempfile::tempdir().unwrap();
    let (_, block) = printed.split_once("\n\n").unwrap();
    server.made(block.split(['=', '\n']).nth(1).unwrap());
    let said = run("bash", block, home.path());
    assert!(said.contains("\"namespace\":\"demo\"") && said.contains("hello{"), "{said}");
    assert!(said.contains("\"logical_bytes\":5"), "{said}");
}

#[tokio::test]
async fn what_an_s3_key_prints_works() {
    let server = server().await;
    let printed = server.run_here(&["key", "create", "--kind", "s3", "--tenant", "acme"]);
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    std::fs::write(home.join("hello.txt"), "hello").unwrap();
    let (_, block) = printed.split_once("\n\n").unwrap();
    let exports = block.split("\n# ").next().unwrap();
    let secret = exports.split("SECRET_ACCESS_KEY=").nth(1).unwrap().lines().next().unwrap();
    server.made(secret);
    let shell = |name: &str| run("bash", &format!("{exports}\n{}", part(&printed, name)), home);

    let said = shell("aws");
    assert!(said.lines().last().unwrap().ends_with(" 5 hello.txt"), "{said}");
    let said = shell("curl");
    assert!(said.contains("<Name>demo</Name>"), "{said}");
    let use_it = "print([bucket['Name'] for bucket in s3.list_buckets()['Buckets']])";
    let said = run("python3", &format!("{}\n{use_it}", part(&printed, "boto3")), home);
    assert_eq!(said.trim(), "['demo']");
    // As the line above it says.
    let file = home.join(".config/rclone/rclone.conf");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, part(&printed, "rclone, in ~/.config/rclone/rclone.conf")).unwrap();
    assert_eq!(run("bash", "rclone cat juststorage:demo/hello.txt", home), "hello");
}
