//! `juststorage events`: event targets, over the admin API of a server, which is what delivers.

use axum::http::Method;
use serde_json::{Map, Value, json};

use super::output::{Output, cell, table};
use crate::cli::{EventsCommand, EventsSet};
use crate::config::ConfigError;
use crate::exit_error::ExitError;
use crate::remote::{Remote, escaped};

const PATH: &str = "/v1/admin/targets";
const STUCK: &str = "/v1/admin/stuck";

/// What may be set of a target: a declaration has all of it, since what it leaves out gets its default.
const SETTABLE: [&str; 14] = [
    "kind",
    "url",
    "format",
    "subject",
    "taken_by",
    "tenants",
    "allow_private",
    "allow_networks",
    "timeout_seconds",
    "concurrency",
    "rows_max",
    "overflow",
    "keep_seconds",
    "paused",
];

/// The refusal of a command that has no server to ask.
pub(super) fn nowhere() -> ExitError {
    ExitError::Config(ConfigError::new(
        "JUSTSTORAGE_URL",
        "is required: events are delivered by a server, and this command asks one over its admin API",
    ))
}

pub(super) async fn run_remote(
    remote: &Remote,
    command: EventsCommand,
    output: Output,
) -> Result<(), ExitError> {
    match command {
        EventsCommand::Status { target: None } => {
            let all = remote.get(PATH).await?["targets"].take();
            output.print(&all, || overview(&all))
        }
        EventsCommand::Status { target: Some(target) } => {
            let found = remote.get(&at(&target)).await?;
            output.print(&found, || described(&found))
        }
        EventsCommand::Set(set) => {
            let path = at(&set.target);
            let known = remote.get(PATH).await?["targets"].take();
            let known = known.as_array().into_iter().flatten().find(|one| one["name"] == set.target.as_str());
            let body = declaration(known, *set)?;
            let found = remote.call(Method::PUT, &path, Some(&body)).await?;
            output.print(&found, || described(&found))
        }
        EventsCommand::Test { target } => {
            let answer = remote.call(Method::POST, &format!("{}/test", at(&target)), None).await?;
            output.print(&answer, || match answer["error"].as_str() {
                None => format!("{target} took a test event"),
                Some(_) => format!("{target} did not take it: {}", cell(&answer["error"])),
            })?;
            if answer["delivered"] == true {
                return Ok(());
            }
            Err(ExitError::No("the test event was not delivered".to_owned()))
        }
        EventsCommand::Replay { target, from_time, from_sequencer } => {
            let body = json!({ "from_time": from_time, "from_sequencer": from_sequencer });
            let answer = remote.call(Method::POST, &format!("{}/replay", at(&target)), Some(&body)).await?;
            output.print(&answer, || format!("events that are delivered again: {}", answer["replayed"]))
        }
        EventsCommand::Aside { target } => {
            let (aside, more) = aside(remote, target.as_deref()).await?;
            output.print(&json!({ "aside": aside, "more": more }), || listed(&aside, more))
        }
        EventsCommand::Retry { item, all: _ } => retry(remote, item.as_deref(), output).await,
        EventsCommand::Remove { target, discard } => {
            let mark = if discard { "?discard=true" } else { "" };
            let answer = remote.call(Method::DELETE, &format!("{}{mark}", at(&target)), None).await?;
            output.print(&answer, || format!("removed; events discarded: {}", answer["discarded"]))
        }
    }
}

fn at(target: &str) -> String {
    format!("{PATH}/{}", escaped(target))
}

/// The whole of a target as it is to be: what is named, over what is known.
fn declaration(known: Option<&Value>, set: EventsSet) -> Result<Value, ExitError> {
    let list = |text: String, nothing: &str, empty: Value| {
        if text == nothing { empty } else { json!(text.split(',').map(str::trim).collect::<Vec<_>>()) }
    };
    let mut body = Map::new();
    for name in SETTABLE {
        match known.map(|known| &known[name]) {
            Some(Value::Null) | None => {}
            Some(value) => {
                body.insert(name.to_owned(), value.clone());
            }
        }
    }
    let secret = match (set.secret, set.secret_file) {
        _ if set.no_secret => Some(Value::Null),
        (Some(secret), _) => Some(Value::from(secret)),
        (None, Some(path)) => {
            let text = std::fs::read_to_string(&path);
            let text = text.map_err(|error| ExitError::unable(format!("read {}", path.display()), error))?;
            Some(Value::from(text.trim_end_matches(['\r', '\n'])))
        }
        (None, None) => None,
    };
    let fields = [
        ("kind", set.kind.map(Value::from)),
        ("url", set.endpoint.map(Value::from)),
        ("format", set.format.map(Value::from)),
        ("subject", set.subject.map(Value::from)),
        ("taken_by", set.taken_by.map(Value::from)),
        ("secret", secret),
        ("tenants", set.tenants.map(|text| list(text, "all", Value::Null))),
        ("allow_private", set.allow_private.map(Value::from)),
        ("allow_networks", set.allow_networks.map(|text| list(text, "none", json!([])))),
        ("timeout_seconds", set.timeout.map(|time| time.as_secs().into())),
        ("concurrency", set.concurrency.map(Value::from)),
        ("rows_max", set.rows_max.map(Value::from)),
        ("overflow", set.overflow.map(Value::from)),
        ("keep_seconds", set.keep.map(|time| time.as_secs().into())),
        ("paused", set.paused.map(Value::from)),
    ];
    for (name, value) in fields {
        body.extend(value.map(|value| (name.to_owned(), value)));
    }
    body.entry("kind").or_insert_with(|| "webhook".into());
    if !body.contains_key("url") {
        return Err(ExitError::No("the target does not exist yet: --endpoint is required".to_owned()));
    }
    Ok(Value::Object(body))
}

fn overview(all: &Value) -> String {
    let rows: Vec<_> = all
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let state = match one {
                one if one["paused"] == true => "paused".to_owned(),
                one if one["last_error"].is_string() && one["failures"] != 0 => cell(&one["last_error"]),
                _ => String::new(),
            };
            let lag = one["lag_seconds"].as_f64().unwrap_or_default();
            let [name, kind, url, waiting] =
                ["name", "kind", "url", "waiting"].map(|field| cell(&one[field]));
            [name, kind, url, waiting, format!("{lag:.0} s"), state]
        })
        .collect();
    if rows.is_empty() {
        return "no target is declared".to_owned();
    }
    table(["TARGET", "KIND", "URL", "WAITING", "LAG", "STATE"], &rows)
}

fn described(found: &Value) -> String {
    let fields = found.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let lines: Vec<_> =
        fields.map(|(name, value)| format!("{:<16} {}\n", name.replace('_', " "), cell(value))).collect();
    lines.concat()
}

/// The events that are put aside, of a target or of all, and whether there are more.
async fn aside(remote: &Remote, target: Option<&str>) -> Result<(Vec<Value>, bool), ExitError> {
    let found = remote.get(&format!("{STUCK}?worker=outbox&limit=1000")).await?;
    let prefix = target.map(|target| format!("event:{target}/"));
    let mut aside = found["stuck"].as_array().cloned().unwrap_or_default();
    aside.retain(|one| {
        let item = one["item"].as_str().unwrap_or_default();
        prefix.as_deref().is_none_or(|prefix| item.starts_with(prefix))
    });
    Ok((aside, found["more"] == true))
}

fn listed(aside: &[Value], more: bool) -> String {
    if aside.is_empty() && !more {
        return "no event is put aside".to_owned();
    }
    let fields = ["item", "failures", "since", "next_at", "error"];
    let rows: Vec<_> = aside.iter().map(|one| fields.map(|field| cell(&one[field]))).collect();
    let end = if more { "there are more\n" } else { "" };
    table(["EVENT", "FAILURES", "SINCE", "NEXT", "ERROR"], &rows) + end
}

/// Makes an event due, or all of a target, or all.
async fn retry(remote: &Remote, item: Option<&str>, output: Output) -> Result<(), ExitError> {
    let items: Vec<String> = match item {
        Some(item) if item.starts_with("event:") => vec![item.to_owned()],
        target => {
            let (aside, _) = aside(remote, target).await?;
            aside.iter().filter_map(|one| one["item"].as_str().map(str::to_owned)).collect()
        }
    };
    if items.is_empty() {
        return Err(ExitError::No("no event is put aside".to_owned()));
    }
    let mut due = 0;
    for item in items {
        let answer =
            remote.call(Method::POST, &format!("{STUCK}/retry"), Some(&json!({ "item": item }))).await?;
        due += answer["due"].as_u64().unwrap_or_default();
    }
    output.print(&json!({ "due": due }), || format!("events that are due now: {due}"))
}
