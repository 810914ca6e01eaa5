//! The OpenAPI documents as other people's programs read them: validators, generators of clients, schemathesis. The generators run by
//! the commands of `docs/api.md`; what their clients do is in `generated/`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use juststorage_compat_tests::{Database, Options, Server, tools};
use serde_json::Value;

const GUIDE: &str = include_str!("../../docs/api.md");

/// Authentication is required, as where clients are not on the server's machine.
async fn server() -> (Server, [(&'static str, String); 2]) {
    let settings = vec![("JUSTSTORAGE_AUTH", "required".to_owned())];
    let server = Server::start_with(Database::Sqlite, Options { settings, ..Options::terse() }).await;
    let rights = "read,write,delete,admin,operator";
    let made = server
        .run_ok(&["key", "create", "--kind", "api", "--tenant", "default", "--rights", rights, "--json"]);
    let token = serde_json::from_str::<Value>(&made).unwrap()["token"].as_str().unwrap().to_owned();
    let given = [("NATIVE_URL", server.native_url().to_owned()), ("TOKEN", token)];
    (server, given)
}

/// The block of `docs/api.md` that is fenced as `fence`, below the heading of a language.
fn block<'g>(language: &str, fence: &str) -> &'g str {
    let section = GUIDE.split(&format!("\n### {language}\n")).nth(1).expect(language);
    let section = section.split("\n#").next().unwrap();
    let fence = format!("```{fence}\n");
    let mut blocks = section.split(&fence).skip(1);
    let found = blocks.next().unwrap_or_else(|| panic!("{language} has no block of {fence}"));
    assert!(blocks.next().is_none(), "{language} has two blocks of {fence}");
    found.split("```").next().unwrap()
}

async fn bytes_go_both_ways(language: &str, folder: &'static str, script: &str) {
    let (server, given) = server().await;
    let commands = block(language, "bash");
    assert!(commands.contains("http://127.0.0.1:8080/v1/openapi"), "{commands}");
    let home = |name: &str, folder: &str| {
        let default = || format!("{}/{folder}", std::env::var("HOME").unwrap());
        std::env::var(name).unwrap_or_else(|_| default())
    };
    let more = [
        ("COMMANDS", commands.replace("http://127.0.0.1:8080", server.native_url())),
        ("SCRIPT", script.to_owned()),
        ("GENERATED", folder.to_owned()),
        // Scenarios have a home of their own, where Rust is not.
        ("CARGO_HOME", home("CARGO_HOME", ".cargo")),
        ("RUSTUP_HOME", home("RUSTUP_HOME", ".rustup")),
    ];
    tools::run_with(&server, "generated.sh", "", &[given.as_slice(), &more].concat());
}

#[tokio::test]
async fn python_by_openapi_python_client() {
    bytes_go_both_ways("Python", "python", "").await;
}

#[tokio::test]
async fn typescript_by_openapi_typescript() {
    bytes_go_both_ways("TypeScript", "typescript", block("TypeScript", "js")).await;
}

#[tokio::test]
async fn go_by_openapi_generator() {
    bytes_go_both_ways("Go, Java and others", "go", "").await;
}

#[tokio::test]
async fn rust_by_progenitor() {
    bytes_go_both_ways("Rust", "rust", "").await;
}

#[tokio::test]
async fn both_documents_are_valid() {
    let (server, given) = server().await;
    tools::run_with(&server, "openapi_valid.py", "openapi", &given);
}

#[tokio::test]
async fn every_answer_is_as_the_document_says() {
    let (server, given) = server().await;
    tools::run_with(&server, "schemathesis.sh", "", &given);
}
