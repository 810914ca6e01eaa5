//! Signatures of webhooks, as Standard Webhooks has them (standardwebhooks.com): libraries of many languages check them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::hmac;

/// What a webhook is signed with. Never printed.
pub struct SignatureKey(hmac::Key);

impl SignatureKey {
    /// Of a secret: the bytes behind `whsec_`, in base64, or the text itself.
    pub fn of(secret: &[u8]) -> Self {
        let encoded = secret.strip_prefix(b"whsec_").and_then(|text| STANDARD.decode(text).ok());
        Self(hmac::Key::new(hmac::HMAC_SHA256, encoded.as_deref().unwrap_or(secret)))
    }
}

/// The value of `webhook-signature` for a body that is sent with this `webhook-id` at this `webhook-timestamp`, in seconds
/// since 1970.
pub fn sign(key: &SignatureKey, id: &str, timestamp: i64, body: &str) -> String {
    let signature = hmac::sign(&key.0, format!("{id}.{timestamp}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(signature.as_ref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification.
    #[test]
    fn a_signature_is_as_other_libraries_compute_it() {
        let key = SignatureKey::of(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let body = r#"{"test": 2432232314}"#;
        let signed = sign(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
