//! The differential table, and what is refused.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod refused;

use super::*;

const TABLE: &str = include_str!("table.txt");

const ALICE: &str = "018bcfe5-687b-7fff-bfff-00000000000a";
const BOB: &str = "018bcfe5-687b-7fff-bfff-00000000000b";
const DAVE: &str = "018bcfe5-687b-7fff-bfff-00000000000d";

/// A policy of the table as a document.
fn document(text: &str) -> String {
    let text = text.replace('@', "arn:aws:s3:::bucket").replace("<alice>", ALICE).replace("<bob>", BOB);
    let text = text.replace("<dave>", DAVE);
    if text.contains("\"Statement\"") {
        return text;
    }
    format!(r#"{{"Version":"2012-10-17","Statement":{text}}}"#)
}

fn caller(name: &str) -> Option<(Tenant, Option<Uuid>)> {
    let tenant = |name| Tenant::new(name).unwrap();
    let id = |id: &str| Some(id.parse().unwrap());
    match name {
        "anon" => None,
        "alice" => Some((tenant("acme"), id(ALICE))),
        "bob" => Some((tenant("acme"), id(BOB))),
        "dave" => Some((tenant("corp"), id(DAVE))),
        // By a token, not by a stored credential.
        "corp" => Some((tenant("corp"), None)),
        other => panic!("{other}"),
    }
}

fn verdict(outcome: &str) -> Verdict {
    match outcome {
        "allow" => Verdict::Allowed,
        "tenant" => Verdict::AllowedToTenant,
        "silent" => Verdict::Silent,
        "deny" => Verdict::Denied,
        other => panic!("{other}"),
    }
}

fn context(facts: &[&str]) -> (Context, Option<Tags>) {
    let (mut context, mut tags) = (Context::default(), Some(Tags::new()));
    for fact in facts {
        let (name, value) = fact.split_once('=').expect(fact);
        let text = Some(value.to_owned());
        match name {
            "ip" => context.source_ip = value.parse().ok(),
            "tls" => context.secure = value.parse().ok(),
            "referer" => context.referer = text,
            "prefix" => context.prefix = text,
            "delimiter" => context.delimiter = text,
            "max-keys" => context.max_keys = text,
            "acl" => context.acl = text,
            "class" => context.storage_class = text,
            "tags" => tags = None,
            tag => {
                let tag = tag.strip_prefix("tag:").expect(tag);
                tags.as_mut().unwrap().insert(tag.to_owned(), value.to_owned());
            }
        }
    }
    (context, tags)
}

#[test]
fn policies_say_what_aws_documents() {
    let (mut policy, mut asked, mut wrong) = (None, 0, Vec::new());
    for (number, line) in (1..).zip(TABLE.lines()) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(text) = line.strip_prefix("policy ") {
            let read = Policy::parse(&document(text));
            policy = Some(read.unwrap_or_else(|error| panic!("line {number}: {error}")));
            continue;
        }
        let policy = policy.as_ref().expect("a policy stands first");
        let (request, outcome) = line.rsplit_once(" : ").expect(line);
        let words: Vec<_> = request.split(' ').collect();
        let [callers, actions, keys, facts @ ..] = words.as_slice() else { panic!("line {number}") };
        let (context, tags) = context(facts);
        for (name, action, key) in combinations(callers, actions, keys) {
            let known = caller(name);
            let caller = known.as_ref().map_or(Caller::Anonymous, |(tenant, credential)| Caller::Known {
                tenant,
                credential: *credential,
            });
            let action = *Action::ALL.iter().find(|known| known.name() == action).expect(action);
            let key = (key != "-").then_some(key);
            assert_eq!(key.is_some(), action.level() == Level::Object, "line {number}");
            let found = policy.judge(&Asked { caller, action, key, context: &context, tags: tags.as_ref() });
            asked += 1;
            if found != verdict(outcome) {
                wrong.push(format!("line {number}: {name} {action} {key:?}: {found:?}, not {outcome}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(asked >= 300, "{asked} pairs of a policy and a request");
}

fn combinations<'t>(
    callers: &'t str,
    actions: &'t str,
    keys: &'t str,
) -> impl Iterator<Item = (&'t str, &'t str, &'t str)> {
    callers.split(',').flat_map(move |caller| {
        actions.split(',').flat_map(move |action| keys.split(',').map(move |key| (caller, action, key)))
    })
}

/// S3 User Guide, "Blocking public access", "The meaning of public".
#[test]
fn public_is_what_grants_something_to_everybody_from_everywhere() {
    let statement =
        |more: &str| format!(r#"{{"Effect":"Allow","Action":"s3:GetObject","Resource":"@/*",{more}}}"#);
    for (more, public) in [
        (r#""Principal":"*""#, true),
        (r#""Principal":{"AWS":["corp","*"]}"#, true),
        (r#""Principal":{"AWS":"corp"}"#, false),
        (r#""Principal":{"AWS":["arn:aws:iam::corp:root","arn:aws:iam::acme:user/<alice>"]}"#, false),
        (r#""Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}"#, false),
        (r#""Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":["192.0.2.1","10.0.0.0/8"]}}"#, false),
        (r#""Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"0.0.0.0/1"}}"#, true),
        (r#""Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":["192.0.2.1","8.0.0.0/7"]}}"#, true),
        (r#""Principal":"*","Condition":{"IpAddress":{"aws:SourceIp":"2001:db8::/31"}}"#, true),
        (r#""Principal":"*","Condition":{"IpAddressIfExists":{"aws:SourceIp":"192.0.2.1"}}"#, true),
        (r#""Principal":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"192.0.2.1"}}"#, true),
        (r#""Principal":"*","Condition":{"StringLike":{"aws:Referer":"http://a/"}}"#, true),
        (r#""Principal":"*","Condition":{"Bool":{"aws:SecureTransport":"true"}}"#, true),
        (
            r#""Principal":"*","Condition":{"StringEquals":{"aws:Referer":"a"},"IpAddress":{"aws:SourceIp":"192.0.2.1"}}"#,
            false,
        ),
    ] {
        let policy = Policy::parse(&document(&statement(more))).unwrap();
        assert_eq!(policy.is_public(), public, "{more}");
    }
    let deny = r#"{"Effect":"Deny","Principal":"*","Action":"s3:*","Resource":"@/*"}"#;
    assert!(!Policy::parse(&document(deny)).unwrap().is_public());
    let open = statement(r#""Principal":"*""#);
    assert!(
        Policy::parse(&document(&format!("[{deny},{open}]"))).unwrap().is_public(),
        "though it is denied"
    );
}

#[test]
fn a_policy_keeps_its_text_and_knows_its_bucket_and_credentials() {
    let text = document(
        r#"{"Effect":"Deny","Principal":{"AWS":["arn:aws:iam::acme:user/<alice>","corp","arn:aws:iam::corp:user/<dave>"]},"Action":"s3:*","Resource":["@","@/*"]}"#,
    );
    let policy = Policy::parse(&text).unwrap();
    assert_eq!((policy.text(), policy.bucket()), (text.as_str(), "bucket"));
    assert_eq!(policy.credentials_of(&Tenant::new("acme").unwrap()), [ALICE.parse::<Uuid>().unwrap()]);
    assert!(policy.credentials_of(&Tenant::new("other").unwrap()).is_empty());
}
