//! `juststorage serve`.

use juststorage_core::application::access::AuthMode;
use serde_json::json;

use super::output::{Output, line};
use super::snippets;
use crate::Endpoints;
use crate::config::{AccessConfig, Config, ListenConfig, LogFormat};
use crate::exit_error::ExitError;
use crate::serve::HOME_TENANT;

/// Serves until a signal ends it.
pub(super) async fn run(config: Config, format: LogFormat, output: Output) -> Result<(), ExitError> {
    let (access, listen) = (config.access.clone(), config.listen.clone());
    crate::run(config, move |endpoints| {
        let text = if output.json {
            json!({
                "native": listen.native_url(endpoints.native),
                "s3": listen.s3_url(endpoints.s3),
                "admin": endpoints.admin.map(|address| listen.native_url(address)),
                "console": console(endpoints, &listen),
            })
            .to_string()
        } else if format == LogFormat::Json {
            // With JSON logs the endpoints are in the log.
            return;
        } else {
            welcome(endpoints, &access, &listen)
        };
        // Standard output may be closed: the server runs all the same.
        if let Err(failure) = line(&text) {
            tracing::warn!(%failure, "endpoints could not be printed");
        }
    })
    .await
}

/// Prints both endpoints, the credentials, and a first command for each front. The lines that begin with `native`,
/// `s3` and `console` are for programs too.
fn welcome(endpoints: &Endpoints, access: &AccessConfig, listen: &ListenConfig) -> String {
    let region = &listen.region;
    let (native, s3) = (listen.native_url(endpoints.native), listen.s3_url(endpoints.s3));
    let public = listen.s3_public_url(endpoints.s3);
    let admin = endpoints.admin.map_or_else(String::new, |at| format!("admin {}\n", listen.native_url(at)));
    let (bearer, token) = match access.mode {
        AuthMode::Disabled => ("", String::new()),
        AuthMode::Required => (
            " -H \"Authorization: Bearer $TOKEN\"",
            format!("\n  # TOKEN is made by: juststorage key create --kind api --tenant {HOME_TENANT}"),
        ),
    };
    let (credentials, environment) = if access.root_is_default {
        let (key, secret) = (&access.root.access_key, &access.root.secret_key);
        (
            format!("{key} / {secret} (the default, on loopback only)"),
            format!("AWS_ACCESS_KEY_ID={key} AWS_SECRET_ACCESS_KEY={secret} "),
        )
    } else {
        ("as configured".to_owned(), String::new())
    };
    format!(
        "JustStorage {version}
{admin}native {native}
s3 {s3}
console {console}

S3 credentials: {credentials}

Try it:{token}
  echo hello | curl{bearer} -T - {native}/v1/objects/by-key/demo/{HOME_TENANT}/hello.txt
  curl{bearer} {native}/v1/objects/by-key/demo/{HOME_TENANT}/hello.txt
  {environment}aws --endpoint-url {public} --region {region} s3 mb s3://{bucket}
  {environment}aws --endpoint-url {public} --region {region} s3 ls s3://{bucket}",
        version = env!("CARGO_PKG_VERSION"),
        bucket = snippets::bucket(HOME_TENANT),
        console = console(endpoints, listen),
    )
}

/// Where the console is: on the address of administration, if there is one.
fn console(endpoints: &Endpoints, listen: &ListenConfig) -> String {
    format!("{}/console/", listen.native_url(endpoints.admin.unwrap_or(endpoints.native)))
}
