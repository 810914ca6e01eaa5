//! The pod of the Helm chart, without a cluster: the real binary with the environment that the chart renders, its probes,
//! the commands of `helm test`, and SIGTERM.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Stdio};

use juststorage_compat_tests::binary;

#[test]
fn the_pod_runs_as_the_chart_renders_it() {
    let root = binary::workspace();
    let prepared = Command::new(root.join("scripts/prepare"))
        .args(["tools", "chart"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(prepared.status.success(), "{}", String::from_utf8_lossy(&prepared.stderr));
    let cache = std::path::PathBuf::from(std::env::var("HOME").unwrap()).join(".cache/juststorage");
    let run = Command::new(cache.join("tools/bin/python"))
        .arg(root.join("deploy/helm/run.py"))
        .arg("--bin")
        .arg(binary::path())
        .env("PATH", format!("{}:{}", cache.join("bin").display(), std::env::var("PATH").unwrap()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (printed, errors) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    assert!(run.status.success(), "{printed}\n{errors}");
    assert!(printed.contains("the pod runs"), "{printed}\n{errors}");
}
