//! What proves this store to a NATS server, as an operator gives it: a token, a user and a password, the seed of an nkey, or a
//! credentials file.

use std::fmt;

use crate::domain::invalid::Invalid;

/// What the file of `nsc generate creds` puts around its two parts.
const JWT: &str = "NATS USER JWT";
const SEED: &str = "USER NKEY SEED";

/// First bytes of the seed of a user (`SU…`), and the one of its public key (`U…`).
const USER_SEED: [u8; 2] = [0x95, 0x00];
const USER_PUBLIC: u8 = 20 << 3;

/// Letters of base32 (RFC 4648).
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A proof of who this store is. It shows nothing of itself.
#[derive(Clone, PartialEq, Eq)]
pub enum NatsSecret {
    /// A token.
    Token(String),
    /// A user and its password.
    Password(String, String),
    /// The seed of a user's nkey: the server's nonce is signed with it.
    Nkey([u8; 32]),
    /// A user's JWT, and the seed of the nkey that it names.
    Credentials(String, [u8; 32]),
}

impl fmt::Debug for NatsSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Token(_) => "Token",
            Self::Password(..) => "Password",
            Self::Nkey(_) => "Nkey",
            Self::Credentials(..) => "Credentials",
        };
        f.debug_struct(kind).finish_non_exhaustive()
    }
}

impl NatsSecret {
    /// Tells by its form which of them a text is: a credentials file, a seed (`SU…`), `user:password`, else a token.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        if text.contains("-----BEGIN") {
            let wrong = || Invalid::new("secret", "is a credentials file without a user's JWT and its seed");
            let jwt = part(text, JWT).ok_or_else(wrong)?;
            let seed = part(text, SEED).and_then(seed_of).ok_or_else(wrong)?;
            return Ok(Self::Credentials(jwt.to_owned(), seed));
        }
        if let Some(seed) = seed_of(text) {
            return Ok(Self::Nkey(seed));
        }
        if text.is_empty() || text.bytes().any(|b| b.is_ascii_control()) {
            return Err(Invalid::new(
                "secret",
                "must be a token, user:password, a seed, or a credentials file",
            ));
        }
        Ok(match text.split_once(':') {
            Some((user, password)) => Self::Password(user.to_owned(), password.to_owned()),
            None => Self::Token(text.to_owned()),
        })
    }
}

/// What stands in a file between the marks of `name`.
fn part<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, rest) = text.split_once(&format!("BEGIN {name}"))?;
    let (_, rest) = rest.split_once('\n')?;
    let (inside, _) = rest.split_once("--")?;
    let inside = inside.trim();
    (!inside.is_empty() && inside.bytes().all(|b| b.is_ascii_graphic())).then_some(inside)
}

/// The seed of a user's nkey: base32 of two bytes for its kind, the seed, and a checksum.
fn seed_of(text: &str) -> Option<[u8; 32]> {
    let bytes = base32_decoded(text)?;
    let (inside, sum) = bytes.split_last_chunk::<2>()?;
    let seed = inside.strip_prefix(&USER_SEED)?;
    if u16::from_le_bytes(*sum) != checksum(inside) {
        return None;
    }
    seed.try_into().ok()
}

/// The name of a user's public key: `U…`.
pub fn user_name(public: &[u8]) -> String {
    let mut bytes = vec![USER_PUBLIC];
    bytes.extend_from_slice(public);
    let sum = checksum(&bytes);
    bytes.extend_from_slice(&sum.to_le_bytes());
    base32(&bytes)
}

/// CRC-16 (XMODEM), as nkeys have it.
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |sum, byte| {
        (0..8).fold(sum ^ (u16::from(*byte) << 8), |sum, _| {
            if sum & 0x8000 == 0 { sum << 1 } else { (sum << 1) ^ 0x1021 }
        })
    })
}

fn base32(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 8 / 5 + 1);
    let (mut bits, mut held) = (0_u32, 0);
    for byte in bytes {
        bits = (bits << 8) | u32::from(*byte);
        held += 8;
        while held >= 5 {
            held -= 5;
            out.push(char::from(LETTERS[(bits >> held) as usize & 31]));
        }
        bits &= (1 << held) - 1;
    }
    if held > 0 {
        out.push(char::from(LETTERS[(bits << (5 - held)) as usize & 31]));
    }
    out
}

fn base32_decoded(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for letter in text.bytes() {
        let value = LETTERS.iter().position(|known| *known == letter)?;
        bits = (bits << 5) | u32::try_from(value).ok()?;
        held += 5;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held).ok()?);
            bits &= (1 << held) - 1;
        }
    }
    (bits == 0).then_some(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// Of the nkeys library's own documentation.
    const SEED: &str = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";

    #[test]
    fn a_secret_is_told_by_its_form() {
        let Ok(NatsSecret::Nkey(seed)) = NatsSecret::parse(SEED) else { unreachable!("a seed") };
        assert_eq!(NatsSecret::parse("a-token"), Ok(NatsSecret::Token("a-token".into())));
        assert_eq!(NatsSecret::parse("me:a:b\n"), Ok(NatsSecret::Password("me".into(), "a:b".into())));
        let file = format!(
            "-----BEGIN NATS USER JWT-----\neyJ0.e30.c2ln\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\
             -----BEGIN USER NKEY SEED-----\n{SEED}\n------END USER NKEY SEED------\n"
        );
        assert_eq!(NatsSecret::parse(&file), Ok(NatsSecret::Credentials("eyJ0.e30.c2ln".into(), seed)));
        for cut in
            ["-----BEGIN NATS USER JWT-----\neyJ0.e30.c2ln\n------END NATS USER JWT------\n", "", "a\u{7}b"]
        {
            assert!(NatsSecret::parse(cut).is_err(), "{cut:?}");
        }
    }

    /// A letter that is mistyped makes it another secret, and the checksum tells.
    #[test]
    fn a_wrong_seed_is_none() {
        assert_eq!(seed_of(&SEED.replacen("SSL3", "SSL4", 1)), None);
        assert_eq!(seed_of(&SEED[..50]), None);
        let bytes = base32_decoded(SEED).unwrap();
        assert_eq!(base32(&bytes), SEED);
    }

    #[test]
    fn a_secret_shows_nothing_of_itself() {
        let shown = format!("{:?} {:?}", NatsSecret::parse(SEED), NatsSecret::parse("me:hidden"));
        assert!(!shown.contains("hidden") && !shown.contains("SUACS"), "{shown}");
    }
}
