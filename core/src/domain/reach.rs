//! Which addresses the store may connect to on behalf of a setting that came over a network: webhooks, upstream stores.
//!
//! A request that the server sends comes from inside the operator's network. Without a limit a setting could make it read
//! the credentials that a cloud hands to its machines, or talk to services that trust every local client (server-side
//! request forgery). So only public addresses are reached, unless an operator allows others.
//!
//! A name says nothing about where it leads, and may lead elsewhere at its next look-up: what is judged is the address of
//! each connection ([`Reach::admit`]).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::invalid::Invalid;
use super::network::Network;

/// Most ranges that one setting allows.
pub const NETWORKS_MAX: usize = 32;

/// A kind of address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zone {
    /// On the internet.
    Public,
    /// Of a private network (RFC 1918, RFC 4193, RFC 6598).
    Private,
    /// This machine.
    Loopback,
    /// Reached without a router (RFC 3927, RFC 4291).
    LinkLocal,
    /// Hands out credentials, or other facts of the machine, to every process on it.
    Metadata,
    /// No address of one host: unspecified, multicast, documentation, reserved.
    Reserved,
}

impl Zone {
    /// The zone of an address. IPv6 has many ways to write an IPv4 address: each is in that one's zone.
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Public => "a public address",
            Self::Private => "a private address",
            Self::Loopback => "a loopback address",
            Self::LinkLocal => "a link-local address",
            Self::Metadata => "a metadata address of a cloud",
            Self::Reserved => "a reserved address",
        }
    }
}

/// Metadata services: the first one is that of AWS, Azure, GCP and others; then ECS, EKS, the host of Azure, Alibaba,
/// Oracle.
const METADATA_V4: [Ipv4Addr; 6] = [
    Ipv4Addr::new(169, 254, 169, 254),
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(168, 63, 129, 16),
    Ipv4Addr::new(100, 100, 100, 200),
    Ipv4Addr::new(192, 0, 0, 192),
];

/// The same over IPv6: EC2, EKS, GCP, Scaleway.
const METADATA_V6: [Ipv6Addr; 4] = [
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
];

fn of_v4(address: Ipv4Addr) -> Zone {
    if METADATA_V4.contains(&address) {
        return Zone::Metadata;
    }
    match address.octets() {
        [127, ..] => Zone::Loopback,
        [169, 254, ..] => Zone::LinkLocal,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] | [100, 64..=127, ..] => Zone::Private,
        // "This network", multicast and beyond, protocol assignments, documentation, 6to4 relays, benchmarks.
        [0 | 224..=255, ..]
        | [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _]
        | [198, 18 | 19, ..] => Zone::Reserved,
        _ => Zone::Public,
    }
}

fn of_v6(address: Ipv6Addr) -> Zone {
    if METADATA_V6.contains(&address) {
        return Zone::Metadata;
    }
    if address.is_loopback() {
        return Zone::Loopback;
    }
    if address.is_unspecified() {
        return Zone::Reserved;
    }
    if let Some(inner) = v4_inside(address) {
        return of_v4(inner);
    }
    match address.segments() {
        [0xfe80..=0xfebf, ..] => Zone::LinkLocal,
        // Unique local and the site-local before it; NAT64 prefixes of one's own.
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Zone::Private,
        // Everything that is assigned lies in 2000::/3; in it, documentation and what is for protocols.
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Zone::Reserved,
        [0x2000..=0x3fff, ..] => Zone::Public,
        _ => Zone::Reserved,
    }
}

/// The IPv4 address that a gateway or the system itself makes of an IPv6 address.
fn v4_inside(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    let at = |shift: u32| {
        let low = u32::try_from((bits >> shift) & 0xffff_ffff).unwrap_or_default();
        Some(Ipv4Addr::from_bits(low))
    };
    match address.segments() {
        // Compatible, mapped, translated, NAT64.
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0, 0, 0, 0, ..] => {
            at(0)
        }
        // 6to4.
        [0x2002, ..] => at(80),
        // Teredo: the client's address, inverted.
        [0x2001, 0, ..] => at(0).map(|inverted| Ipv4Addr::from_bits(!inverted.to_bits())),
        _ => None,
    }
}

/// The addresses that a setting may lead to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Private and loopback addresses too.
    pub private: bool,
    /// These ranges too, whatever lies in them. A metadata address must be named by itself.
    pub networks: Vec<Network>,
}

impl Reach {
    /// Public addresses; private and loopback ones, if `private`; and `networks`, in CIDR notation.
    pub fn new(private: bool, networks: &[impl AsRef<str>]) -> Result<Self, Invalid> {
        let refuse = |reason: &'static str| Err(Invalid::new("allow_networks", reason));
        if networks.len() > NETWORKS_MAX {
            return refuse("must be at most 32 ranges");
        }
        let mut read = Vec::with_capacity(networks.len());
        for network in networks {
            match Network::parse(network.as_ref()) {
                None => return refuse("must be addresses or ranges such as 169.254.7.0/24"),
                Some(network) if network.is_everywhere() => return refuse("must not be a range this large"),
                Some(network) => read.push(network),
            }
        }
        Ok(Self { private, networks: read })
    }

    /// Whether the store may connect to `address`.
    pub fn admit(&self, address: IpAddr) -> Result<(), OutOfReach> {
        let zone = Zone::of(address);
        let named = |network: &&Network| network.holds(address);
        let allowed = match zone {
            Zone::Public => true,
            Zone::Private | Zone::Loopback => self.private || self.networks.iter().any(|n| named(&n)),
            Zone::Metadata => self.networks.iter().filter(named).any(|network| network.is_one_address()),
            Zone::LinkLocal | Zone::Reserved => self.networks.iter().any(|n| named(&n)),
        };
        if allowed { Ok(()) } else { Err(OutOfReach { address, zone }) }
    }

    /// As [`Self::admit`], of the host of a URL where that is an address. A name is judged when it is looked up.
    pub fn admit_host(&self, host: &str) -> Result<(), OutOfReach> {
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        // A zone index says which interface, not where to.
        let bare = bare.split('%').next().unwrap_or(bare);
        bare.parse().map_or(Ok(()), |address| self.admit(address))
    }
}

/// An address that a setting may not lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutOfReach {
    /// The address.
    pub address: IpAddr,
    /// Its kind.
    pub zone: Zone,
}

impl fmt::Display for OutOfReach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, zone } = self;
        let how = match zone {
            Zone::Private | Zone::Loopback => "allow_private, or allow_networks with it,",
            Zone::Metadata => "allow_networks with this very address",
            _ => "allow_networks with it",
        };
        write!(f, "{address} is {}, which is reached only if an operator sets {how} there", zone.as_str())
    }
}

impl std::error::Error for OutOfReach {}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn zone(text: &str) -> Zone {
        Zone::of(text.parse().unwrap())
    }

    #[test]
    fn every_way_to_write_an_address_is_in_its_zone() {
        for (zone_of, addresses) in [
            (
                Zone::Public,
                &[
                    "1.1.1.1",
                    "172.15.0.1",
                    "172.32.0.1",
                    "100.63.0.1",
                    "100.128.0.1",
                    "2606:4700::1",
                    "2a01::1",
                ][..],
            ),
            (
                Zone::Private,
                &[
                    "10.0.0.1",
                    "172.16.0.1",
                    "172.31.255.255",
                    "192.168.1.1",
                    "100.64.0.1",
                    "fc00::1",
                    "fdff::1",
                    "fec0::1",
                    "64:ff9b:1::a9fe:a9fe",
                ],
            ),
            (
                Zone::Loopback,
                &[
                    "127.0.0.1",
                    "127.255.255.255",
                    "::1",
                    "::ffff:127.0.0.1",
                    "::127.0.0.1",
                    "64:ff9b::127.0.0.1",
                    "2002:7f00:1::",
                    "2001::80ff:fffe",
                ],
            ),
            (Zone::LinkLocal, &["169.254.0.1", "fe80::1", "febf::1", "::ffff:169.254.1.1"]),
            (
                Zone::Metadata,
                &[
                    "169.254.169.254",
                    "169.254.170.2",
                    "168.63.129.16",
                    "100.100.100.200",
                    "fd00:ec2::254",
                    "fd20:ce::254",
                    "::ffff:169.254.169.254",
                    "::ffff:a9fe:a9fe",
                    "::169.254.169.254",
                    "::ffff:0:169.254.169.254",
                    "64:ff9b::a9fe:a9fe",
                    "2002:a9fe:a9fe::1",
                    "2001:0:0:0:0:0:5601:5601",
                ],
            ),
            (
                Zone::Reserved,
                &[
                    "0.0.0.0",
                    "0.1.2.3",
                    "192.0.2.1",
                    "224.0.0.1",
                    "255.255.255.255",
                    "240.0.0.1",
                    "::",
                    "ff02::1",
                    "2001:db8::1",
                    "100::1",
                    "4000::1",
                ],
            ),
        ] {
            for address in addresses {
                assert_eq!(zone(address), zone_of, "{address}");
            }
        }
    }

    #[test]
    fn only_what_is_allowed_is_reached() {
        let none: &[&str] = &[];
        let public = Reach::new(false, none).unwrap();
        let private = Reach::new(true, none).unwrap();
        let link = Reach::new(false, &["169.254.0.0/16", "10.1.0.0/16"]).unwrap();
        let metadata = Reach::new(false, &["169.254.169.254", "fd00:ec2::254/128"]).unwrap();
        for (address, admitted) in [
            ("1.1.1.1", [true, true, true, true]),
            ("10.1.2.3", [false, true, true, false]),
            ("10.2.2.3", [false, true, false, false]),
            ("127.0.0.1", [false, true, false, false]),
            ("169.254.7.1", [false, false, true, false]),
            ("169.254.169.254", [false, false, false, true]),
            ("::ffff:169.254.169.254", [false, false, false, true]),
            ("fd00:ec2::254", [false, false, false, true]),
            ("0.0.0.0", [false, false, false, false]),
        ] {
            let found = [&public, &private, &link, &metadata]
                .map(|reach| reach.admit(address.parse().unwrap()).is_ok());
            assert_eq!(found, admitted, "{address}");
        }
        for bad in ["0.0.0.0/0", "::/0", "a.example", "10.0.0.0/33"] {
            assert!(Reach::new(true, &[bad]).is_err(), "{bad}");
        }
        assert!(Reach::new(true, &["10.0.0.1"; NETWORKS_MAX + 1]).is_err());
    }

    #[test]
    fn a_host_that_is_an_address_is_judged_at_once() {
        let public = Reach::default();
        for host in ["127.0.0.1", "[::1]", "::1", "[fe80::1%eth0]", "[::ffff:10.0.0.1]"] {
            assert!(public.admit_host(host).is_err(), "{host}");
        }
        for host in ["hooks.example", "localhost", "8.8.8.8", "[2606:4700::1]"] {
            assert!(public.admit_host(host).is_ok(), "{host}");
        }
    }
}
