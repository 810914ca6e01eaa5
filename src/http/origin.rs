//! Where a request comes from, as bucket policies ask for it.
//!
//! A proxy in front hides its clients, and says of them what it knows in headers that every client can write. They count if
//! the proxy is one that the operator trusts. From other peers they make the client's address unknown: what a policy
//! makes hang on it is then denied, and never granted to a proxy's address by mistake.

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName};
use juststorage_core::domain::context::Origin;
use juststorage_core::domain::network::Network;

const FORWARDED: HeaderName = HeaderName::from_static("forwarded");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The proxies that are trusted.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Arc<[Network]>);

impl Proxies {
    /// These.
    pub fn new(networks: Vec<Network>) -> Self {
        Self(networks.into())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(address))
    }

    /// Where a request comes from that `peer` sent, through TLS of this process or not.
    pub(super) fn origin(&self, peer: IpAddr, tls: bool, headers: &HeaderMap) -> Origin {
        let peer = peer.to_canonical();
        let trusted = self.trusts(peer);
        let address = match list(headers, &FORWARDED_FOR) {
            None if headers.contains_key(FORWARDED) => None,
            None => Some(peer),
            Some(hops) if trusted => self.client(peer, &hops),
            Some(_) => None,
        };
        let secure = match list(headers, &FORWARDED_PROTO) {
            None => Some(tls),
            Some(schemes) => {
                let all = schemes.iter().all(|scheme| scheme.eq_ignore_ascii_case("https"));
                if trusted { Some(all) } else { (all == tls).then_some(tls) }
            }
        };
        Origin { address, secure }
    }

    /// The last hop that is no trusted proxy: each adds the one it talks with behind what it was sent. What is in front
    /// of that hop a client may have written.
    fn client(&self, peer: IpAddr, hops: &[&str]) -> Option<IpAddr> {
        let mut client = peer;
        for hop in hops.iter().rev() {
            client = hop.trim_matches(['[', ']']).parse::<IpAddr>().ok()?.to_canonical();
            if !self.trusts(client) {
                break;
            }
        }
        Some(client)
    }
}

/// The entries of a header that is a list; `None` if it is not there. What is no text is an entry that is nothing.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Option<Vec<&'h str>> {
    headers.contains_key(name).then(|| {
        let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or_default());
        lines.flat_map(|line| line.split(',')).map(str::trim).collect()
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn origin(proxies: &str, peer: &str, tls: bool, headers: &[(&'static str, &'static str)]) -> Origin {
        let networks = proxies.split_whitespace().map(|text| Network::parse(text).unwrap()).collect();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        Proxies::new(networks).origin(peer.parse().unwrap(), tls, &map)
    }

    #[test]
    fn only_trusted_proxies_speak_for_their_clients() {
        let at = |text: &str| Some(text.parse::<IpAddr>().unwrap());
        let via = |list: &'static str| [("x-forwarded-for", list)];
        for (proxies, peer, headers, address) in [
            ("", "192.0.2.1", &[][..], at("192.0.2.1")),
            ("", "::ffff:192.0.2.1", &[], at("192.0.2.1")),
            ("", "192.0.2.1", &via("198.51.100.1"), None),
            ("", "192.0.2.1", &[("forwarded", "for=198.51.100.1")], None),
            ("10.0.0.0/8", "192.0.2.1", &via("198.51.100.1"), None),
            ("10.0.0.0/8", "10.0.0.1", &[], at("10.0.0.1")),
            ("10.0.0.0/8", "10.0.0.1", &via("198.51.100.1"), at("198.51.100.1")),
            ("10.0.0.0/8", "10.0.0.1", &via("203.0.113.9, 198.51.100.1"), at("198.51.100.1")),
            ("10.0.0.0/8", "10.0.0.1", &via("198.51.100.1, 10.0.0.2"), at("198.51.100.1")),
            ("10.0.0.0/8", "10.0.0.1", &via("10.0.0.3, 10.0.0.2"), at("10.0.0.3")),
            ("10.0.0.0/8 ::1", "::1", &via("[2001:db8::1]"), at("2001:db8::1")),
            ("10.0.0.0/8", "10.0.0.1", &via("unknown"), None),
            ("10.0.0.0/8", "10.0.0.1", &via("198.51.100.1, "), None),
            ("10.0.0.0/8", "10.0.0.1", &[("forwarded", "for=198.51.100.1")], None),
        ] {
            assert_eq!(
                origin(proxies, peer, false, headers).address,
                address,
                "{proxies}: {peer} {headers:?}"
            );
        }
    }

    #[test]
    fn tls_is_ours_or_a_trusted_proxys() {
        let proto = |list: &'static str| [("x-forwarded-proto", list)];
        for (proxies, tls, headers, secure) in [
            ("", false, &[][..], Some(false)),
            ("", true, &[], Some(true)),
            ("", false, &proto("https"), None),
            ("", true, &proto("https"), Some(true)),
            ("", true, &proto("http"), None),
            ("10.0.0.1", false, &proto("https"), Some(true)),
            ("10.0.0.1", false, &proto("HTTPS, https"), Some(true)),
            ("10.0.0.1", false, &proto("https, http"), Some(false)),
            ("10.0.0.1", true, &proto("http"), Some(false)),
            ("10.0.0.1", false, &[], Some(false)),
        ] {
            assert_eq!(
                origin(proxies, "10.0.0.1", tls, headers).secure,
                secure,
                "{proxies} {tls} {headers:?}"
            );
        }
    }
}
