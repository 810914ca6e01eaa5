//! Users, groups and service accounts of an export.

use std::collections::BTreeMap;
use std::path::Path;

use juststorage_core::application::access::{GivenSecret, NewKeyRequest};
use juststorage_core::application::admin::DeclaredCredential;
use juststorage_core::domain::address::Tenant;
use juststorage_core::domain::timestamp::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::grant::{Document, Grant, or_default};
use super::{Import, file};

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct User {
    #[serde(deserialize_with = "or_default")]
    secret_key: String,
    #[serde(deserialize_with = "or_default")]
    status: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Group {
    #[serde(deserialize_with = "or_default")]
    status: String,
    #[serde(deserialize_with = "or_default")]
    members: Vec<String>,
}

/// The names of policies, with commas between them.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Mapping {
    policy: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ServiceAccount {
    parent: String,
    access_key: String,
    secret_key: String,
    #[serde(deserialize_with = "or_default")]
    claims: BTreeMap<String, serde_json::Value>,
    session_policy: Option<Document>,
    status: String,
    name: String,
    expiration: Option<String>,
}

/// Policies that every MinIO has.
const BUILT_IN: [(&str, &str); 4] = [
    (
        "readonly",
        r#"{"Statement":[{"Effect":"Allow","Action":["s3:GetObject"],"Resource":["arn:aws:s3:::*"]}]}"#,
    ),
    ("readwrite", r#"{"Statement":[{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#),
    (
        "writeonly",
        r#"{"Statement":[{"Effect":"Allow","Action":["s3:PutObject"],"Resource":["arn:aws:s3:::*"]}]}"#,
    ),
    (
        "consoleAdmin",
        r#"{"Statement":[{"Effect":"Allow","Action":["admin:*"]},{"Effect":"Allow","Action":["s3:*"],"Resource":["arn:aws:s3:::*"]}]}"#,
    ),
];

/// What a folder of identities holds.
struct Identities {
    policies: BTreeMap<String, Document>,
    users: BTreeMap<String, User>,
    groups: BTreeMap<String, Group>,
    of_users: BTreeMap<String, Mapping>,
    of_groups: BTreeMap<String, Mapping>,
}

fn json<T: DeserializeOwned + Default>(folder: &Path, name: &str) -> Result<T, String> {
    let Some(bytes) = file(folder, name)? else { return Ok(T::default()) };
    // The message of the parser would quote what may be a secret.
    serde_json::from_slice(&bytes).map_err(|error| {
        format!("{} cannot be understood at line {}", folder.join(name).display(), error.line())
    })
}

impl Identities {
    /// What a user may do: its own policies, and those of its groups.
    fn grant(&self, user: &str) -> Result<Grant, String> {
        let own = self.of_users.get(user).into_iter();
        let groups = self.groups.iter().filter(|(_, group)| {
            group.status != "disabled" && group.members.iter().any(|member| member == user)
        });
        let of_groups = groups.filter_map(|(name, _)| self.of_groups.get(name));
        let mut documents = Vec::new();
        for name in own.chain(of_groups).flat_map(|mapping| mapping.policy.split(',')) {
            let name = name.trim();
            if name.is_empty() {
                continue;
            }
            documents
                .push(self.policies.get(name).ok_or_else(|| format!("its policy {name} was not exported"))?);
        }
        if documents.is_empty() {
            return Err("it has no policy: it may do nothing there either".to_owned());
        }
        Grant::of(documents)
    }
}

/// Takes over the identities of a folder.
pub(super) fn read(
    folder: &Path,
    tenant: &Tenant,
    now: Timestamp,
    import: &mut Import,
) -> Result<(), String> {
    let mut policies: BTreeMap<String, Document> = BTreeMap::new();
    for (name, text) in BUILT_IN {
        policies.insert(name.to_owned(), serde_json::from_str(text).map_err(|error| error.to_string())?);
    }
    policies.extend(json::<BTreeMap<String, Document>>(folder, "policies.json")?);
    let all = Identities {
        policies,
        users: json(folder, "users.json")?,
        groups: json(folder, "groups.json")?,
        of_users: json(folder, "user_mappings.json")?,
        of_groups: json(folder, "group_mappings.json")?,
    };
    let mut to = To { tenant, import };
    for (name, user) in &all.users {
        let of = format!("user {name}");
        if user.status == "disabled" {
            to.import.leave(&of, "the credential", "it is disabled");
            continue;
        }
        let grant = all.grant(name);
        to.credential(&of, name, &user.secret_key, name, grant, None);
    }
    for (access_key, account) in json::<BTreeMap<String, ServiceAccount>>(folder, "svcaccts.json")? {
        let access_key = if account.access_key.is_empty() { &access_key } else { &account.access_key };
        let of = format!("access key {access_key}");
        if account.status == "off" || account.status == "disabled" {
            to.import.leave(&of, "the credential", "it is disabled");
            continue;
        }
        let expires_at = match account.expiration.as_deref().map(moment) {
            None | Some(Some(Timestamp(0))) => None,
            Some(Some(at)) if at <= now => {
                to.import.leave(&of, "the credential", "it has expired");
                continue;
            }
            Some(Some(at)) => Some(at),
            Some(None) => {
                to.import.leave(&of, "the credential", "its expiration cannot be understood");
                continue;
            }
        };
        let grant = all.grant_of_account(&account);
        let description = if account.name.is_empty() { &account.parent } else { &account.name };
        to.credential(&of, access_key, &account.secret_key, description, grant, expires_at);
    }
    for name in json::<BTreeMap<String, Mapping>>(folder, "stsuser_mappings.json")?.keys() {
        let why = "an identity provider knows it: let it in by its token (docs/admin.md)";
        to.import.leave(&format!("user {name}"), "the user", why);
    }
    Ok(())
}

impl Identities {
    fn grant_of_account(&self, account: &ServiceAccount) -> Result<Grant, String> {
        let of_provider = account.claims.keys().any(|claim| claim.starts_with("ldap"))
            || account.parent.contains(['=', ':'])
            || account.claims.contains_key("iss");
        if of_provider {
            return Err("its user is known to an identity provider alone".to_owned());
        }
        let parent = if self.users.contains_key(&account.parent) {
            self.grant(&account.parent)?
        } else {
            // No export names the root user.
            Grant::everything()
        };
        let inherits = account.claims.get("sa-policy").is_some_and(|policy| policy == "inherited-policy");
        match &account.session_policy {
            None => Ok(parent),
            Some(_) if inherits => Ok(parent),
            Some(own) => Grant::of([own])?.within(&parent),
        }
    }
}

fn moment(text: &str) -> Option<Timestamp> {
    let at = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Some(Timestamp(i64::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()?))
}

struct To<'a> {
    tenant: &'a Tenant,
    import: &'a mut Import,
}

impl To<'_> {
    /// Declares a credential, if its grant can be said here and its secret is long enough.
    fn credential(
        &mut self,
        of: &str,
        access_key: &str,
        secret_key: &str,
        description: &str,
        grant: Result<Grant, String>,
        expires_at: Option<Timestamp>,
    ) {
        let secret = GivenSecret::S3 { access_key: access_key.to_owned(), secret_key: secret_key.to_owned() };
        let asked = grant.and_then(|grant| {
            secret.validate().map_err(|invalid| format!("its {} {}", invalid.field, invalid.reason))?;
            Ok((grant.asked()?, grant))
        });
        let (asked, grant) = match asked {
            Ok(asked) => asked,
            Err(why) => return self.import.leave(of, "the credential", why),
        };
        let request = NewKeyRequest {
            kind: secret.kind(),
            tenant: self.tenant.clone(),
            namespaces: asked.namespaces,
            prefixes: asked.prefixes,
            rights: asked.rights,
            description: format!("MinIO: {description}"),
            expires_at,
        };
        if let Err(invalid) = request.validate() {
            return self.import.leave(of, "the credential", invalid.to_string());
        }
        if let Some(wider) = grant.wider() {
            self.import.leave(of, "its exact actions", wider);
        }
        if let Some(narrower) = grant.narrower() {
            self.import.leave(of, "its listings", narrower);
        }
        if grant.administers {
            let why = "it reads, writes and deletes objects here: `juststorage key create --rights operator` makes one that \
                       administers";
            self.import.leave(of, "administration", why);
        }
        self.import.declared.credentials.push(DeclaredCredential { request, secret });
    }
}
