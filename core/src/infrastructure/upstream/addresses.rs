//! Which addresses an upstream may have: names are looked up by the guarded resolver.

use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};

use crate::domain::reach::Reach;
use crate::domain::upstream::Target;
use crate::infrastructure::outbound::GuardedResolver;

/// Looks names up for the SDK, and leaves out addresses that are out of a target's reach.
#[derive(Clone, Debug)]
pub(super) struct Checked(GuardedResolver);

impl Checked {
    /// Within what `target` allows. Refuses a target whose host is an address out of its reach: no name is looked up for it.
    pub(super) fn new(target: &Target) -> Result<Self, String> {
        let reach = Reach { private: target.allow_private, networks: Vec::new() };
        reach.admit_host(target.host()).map_err(|out| out.to_string())?;
        Ok(Self(GuardedResolver::new(reach)))
    }
}

impl ResolveDns for Checked {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move { self.0.resolve(name).await.map_err(ResolveDnsError::new) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::domain::upstream::{Addressing, MirrorSettings};

    /// An address is judged before anything is sent, a name when it is looked up.
    #[tokio::test]
    async fn a_private_address_is_refused_unless_it_is_allowed() {
        let target = |endpoint: &str, allow_private| Target {
            endpoint: endpoint.into(),
            bucket: "b".into(),
            prefix: String::new(),
            region: "us-east-1".into(),
            addressing: Addressing::Path,
            access_key: "k".into(),
            allow_private,
            requests_per_second: None,
            bytes_per_second: None,
            mirror: MirrorSettings::default(),
        };
        for endpoint in
            ["http://127.0.0.1:9000", "http://[::1]:9000", "https://169.254.169.254", "http://10.0.0.1"]
        {
            assert!(Checked::new(&target(endpoint, false)).is_err(), "{endpoint}");
        }
        assert!(Checked::new(&target("https://169.254.169.254", true)).is_err(), "it hands out credentials");
        let name = Checked::new(&target("http://localhost:9000", false)).unwrap();
        let refused = name.resolve_dns("localhost").await.unwrap_err();
        assert!(format!("{refused:?}").contains("Loopback"), "{refused:?}");
        let allowed = Checked::new(&target("http://localhost:9000", true)).unwrap();
        assert!(!allowed.resolve_dns("localhost").await.unwrap().is_empty());
    }
}
