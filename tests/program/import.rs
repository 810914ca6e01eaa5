//! `juststorage import minio`: an export of another store becomes buckets and credentials of this one.

use std::process::Output;

use serde_json::Value;

use crate::harness::{Place, text};

const SECRET: &str = "alices-secret-of-2026";

fn export(place: &Place) {
    let files = [
        (
            "photos/versioning.xml",
            "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>".to_owned(),
        ),
        ("photos/quota.json", r#"{"quota":1048576,"size":1048576,"quotatype":"hard"}"#.to_owned()),
        ("papers/versioning.xml", "<VersioningConfiguration></VersioningConfiguration>".to_owned()),
        (
            "iam-assets/policies.json",
            r#"{"photos":{"Version":"2012-10-17","Statement":[{"Effect":"Allow",
          "Action":["s3:*"],"Resource":["arn:aws:s3:::photos","arn:aws:s3:::photos/*"]}]}}"#
                .to_owned(),
        ),
        (
            "iam-assets/users.json",
            format!(
                r#"{{"alice-of-2026":{{"secretKey":"{SECRET}","status":"enabled"}},
          "short":{{"secretKey":"12345678","status":"enabled"}}}}"#
            ),
        ),
        (
            "iam-assets/user_mappings.json",
            r#"{"alice-of-2026":{"version":0,"policy":"photos"},
          "short":{"version":0,"policy":"readwrite"}}"#
                .to_owned(),
        ),
    ];
    for (name, body) in files {
        let path = place.file("export").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    }
}

fn import(place: &Place, arguments: &[&str]) -> (Option<i32>, Value) {
    let output: Output =
        place.program(&[&["import", "minio", "export", "--json"], arguments].concat()).output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(!said.contains(SECRET) && !said.contains("12345678"), "{said}");
    (output.status.code(), serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{said}")))
}

#[tokio::test]
async fn an_export_of_minio_becomes_buckets_and_credentials() {
    let place = Place::new();
    export(&place);
    // A store is made by its server.
    place.start(place.program(&["--auth", "required"])).stop();
    let states = |report: &Value| {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.map(|found| found["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (code, report) = import(&place, &["--check"]);
    assert_eq!((code, states(&report)), (Some(1), vec!["missing".to_owned(); 3]), "{report}");
    let (code, report) = import(&place, &[]);
    assert_eq!((code, states(&report)), (Some(0), vec!["created".to_owned(); 3]), "{report}");
    let left: Vec<_> =
        report["left"].as_array().unwrap().iter().map(|left| left["of"].as_str().unwrap()).collect();
    assert_eq!(left, ["user short", "bucket photos"], "{report}");
    let (code, report) = import(&place, &["--check"]);
    assert_eq!((code, states(&report)), (Some(0), vec![]), "{report}");

    let server = place.start(place.program(&["--auth", "required"]));
    let alice = server.s3_as("alice-of-2026", SECRET);
    alice.put_object().bucket("photos").key("k").body(b"seen".to_vec().into()).send().await.unwrap();
    assert!(
        alice.put_object().bucket("papers").key("k").send().await.is_err(),
        "its policy names one bucket"
    );
    let versioning = server.s3().get_bucket_versioning().bucket("photos").send().await.unwrap();
    assert_eq!(versioning.status().unwrap().as_str(), "Enabled");
    server.stop();
    let none = place.program(&["import", "minio", "nowhere"]).output().unwrap();
    assert_eq!(none.status.code(), Some(2), "{}", text(&none.stderr));
}
