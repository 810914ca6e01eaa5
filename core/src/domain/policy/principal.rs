//! Whom a statement is about.
//!
//! - `*`: every caller, also without credentials.
//! - `arn:aws:iam::TENANT:root`, or the bare name of a tenant: every credential of that tenant (AWS's account).
//! - `arn:aws:iam::TENANT:user/CREDENTIAL`: one credential, by its id (AWS's user).

use uuid::Uuid;

use crate::domain::address::Tenant;

/// Whom a statement names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Everybody,
    Tenant(Tenant),
    Credential(Tenant, Uuid),
}

impl Named {
    /// Reads one of the forms.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Self::Everybody);
        }
        let Some(arn) = text.strip_prefix("arn:aws:iam::") else {
            return Tenant::new(text).ok().map(Self::Tenant);
        };
        let (tenant, who) = arn.split_once(':')?;
        let tenant = Tenant::new(tenant).ok()?;
        match who.strip_prefix("user/") {
            None if who == "root" => Some(Self::Tenant(tenant)),
            // In the one form that ids are written in: the text is compared by people, too.
            Some(id) if id.len() == 36 => Some(Self::Credential(tenant, Uuid::try_parse(id).ok()?)),
            _ => None,
        }
    }
}

/// Who asks, as policies see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Caller<'a> {
    /// One who proved nothing.
    Anonymous,
    /// One who proved to act for a tenant; by its stored credential, where there is one.
    Known {
        /// The tenant.
        tenant: &'a Tenant,
        /// The credential's id.
        credential: Option<Uuid>,
    },
}

/// How a caller is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meant {
    /// As one of a tenant's: what is granted to that tenant takes a right of the credential as well.
    AsTenant,
    /// By itself, or by `*`.
    Itself,
}

impl Named {
    pub(super) fn means(&self, caller: Caller<'_>) -> Option<Meant> {
        match (self, caller) {
            (Self::Everybody, _) => Some(Meant::Itself),
            (Self::Tenant(named), Caller::Known { tenant, .. }) => {
                (named == tenant).then_some(Meant::AsTenant)
            }
            (Self::Credential(named, id), Caller::Known { tenant, credential }) => {
                (named == tenant && credential == Some(*id)).then_some(Meant::Itself)
            }
            (Self::Tenant(_) | Self::Credential(..), Caller::Anonymous) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn principals_have_three_forms() {
        let id = "018bcfe5-687b-7fff-bfff-ffffffffffff";
        let acme = Tenant::new("acme").unwrap();
        for (text, named) in [
            ("*".to_owned(), Named::Everybody),
            ("acme".to_owned(), Named::Tenant(acme.clone())),
            ("arn:aws:iam::acme:root".to_owned(), Named::Tenant(acme.clone())),
            (format!("arn:aws:iam::acme:user/{id}"), Named::Credential(acme, id.parse().unwrap())),
        ] {
            assert_eq!(Named::parse(&text), Some(named), "{text}");
        }
        for text in [
            "",
            "**",
            "acme*",
            "ACME",
            "arn:aws:iam::*:root",
            "arn:aws:iam::acme:role/x",
            "arn:aws:iam::acme:user/*",
            "arn:aws:iam::acme:user/bob",
            "arn:aws:iam::acme:Root",
            "arn:aws:iam:::root",
            "arn:aws-cn:iam::acme:root",
            "arn:aws:sts::acme:assumed-role/a/b",
            "arn:aws:iam::acme:user/018bcfe5687b7fffbfffffffffffffff",
            "arn:aws:iam::acme",
            "arn:aws:s3:::b",
        ] {
            assert_eq!(Named::parse(text), None, "{text}");
        }
    }
}
