//! A published set under a clock that the tests move.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::BoxFuture;
use ring::hmac;
use serde_json::json;

use super::super::jwt::{JwtRules, JwtVerifier};
use super::*;
use crate::domain::timestamp::Timestamp;

const NOW: Timestamp = Timestamp(1_700_000_000_000);

const PACE: KeySetPace = KeySetPace {
    every: Duration::from_secs(300),
    least: Duration::from_secs(30),
    timeout: Duration::from_secs(5),
};

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// What the provider answers.
#[derive(Clone)]
enum Answer {
    Set(String),
    Away,
    Never,
}

/// A provider that gives these answers one after the other, and the last one for ever. An answer takes a second.
struct Provider {
    answers: Mutex<VecDeque<Answer>>,
    asked: AtomicUsize,
}

impl KeySetSource for Provider {
    fn fetch(&self) -> BoxFuture<'_, Result<String, String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        Box::pin(async move {
            sleep(Duration::from_secs(1)).await;
            match answer {
                Answer::Set(json) => Ok(json),
                Answer::Away => Err("connection refused".to_owned()),
                Answer::Never => std::future::pending().await,
            }
        })
    }
}

fn secret(kid: &str) -> String {
    format!("the secret of the key {kid}, long enough")
}

fn set(kids: &[&str]) -> Answer {
    let key = |kid: &&str| json!({ "kty": "oct", "kid": kid, "k": URL_SAFE_NO_PAD.encode(secret(kid)) });
    Answer::Set(json!({ "keys": kids.iter().map(key).collect::<Vec<_>>() }).to_string())
}

fn token(kid: &str) -> String {
    let encode = |value: serde_json::Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let header = encode(json!({ "alg": "HS256", "kid": kid }));
    let message =
        format!("{header}.{}", encode(json!({ "sub": "s", "tenant": "acme", "exp": 1_700_000_300 })));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret(kid).as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
}

/// A verifier whose keys `provider` publishes; the first fetch has ended.
async fn following(answers: impl IntoIterator<Item = Answer>) -> (Arc<Provider>, Arc<JwtVerifier>) {
    let provider =
        Arc::new(Provider { answers: Mutex::new(answers.into_iter().collect()), asked: AtomicUsize::new(0) });
    let verifier = Arc::new(JwtVerifier::of_published(PACE, JwtRules::default()));
    let (source, follower) = (provider.clone(), verifier.clone());
    tokio::spawn(async move {
        let replace = |keys| follower.replace_keys(keys);
        follower.published().unwrap().follow(source.as_ref(), &replace, &Fixed).await;
    });
    verifier.published().unwrap().first().await;
    (provider, verifier)
}

impl Provider {
    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_new_is_fetched_once_for_everybody_who_names_it() {
    let (provider, verifier) = following([set(&["a"]), set(&["a", "b"])]).await;
    assert!(verifier.verify(&token("a"), NOW).await.is_ok());
    sleep(Duration::from_secs(31)).await;
    assert_eq!(provider.asked(), 1, "known keys ask for nothing");
    let new = token("b");
    let all: Vec<_> = (0..100).map(|_| verifier.verify(&new, NOW)).collect();
    let all = futures::future::join_all(all).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(provider.asked(), 2);
}

/// Every client can send a token that names a key: that must not become a stream of requests at the provider, and those who
/// send it do not wait.
#[tokio::test(start_paused = true)]
async fn made_up_keys_do_not_make_it_ask_oftener() {
    let (provider, verifier) = following([set(&["a"])]).await;
    let begun = Instant::now();
    for number in 0..1000 {
        assert!(verifier.verify(&token(&format!("made-up-{number}")), NOW).await.is_err());
    }
    assert_eq!((provider.asked(), begun.elapsed()), (1, Duration::ZERO));
    // For an hour, a token with an unknown key, every second.
    for number in 0..3600 {
        let unknown = token(&format!("unknown-{number}"));
        assert!(verifier.verify(&unknown, NOW).await.is_err());
        sleep(Duration::from_secs(1)).await;
    }
    let most = begun.elapsed().as_secs() / PACE.least.as_secs() + 1;
    assert!((100..=most).contains(&(provider.asked() as u64)), "{} of {most}", provider.asked());
}

#[tokio::test(start_paused = true)]
async fn what_was_fetched_last_stays_in_force_while_the_provider_is_away() {
    let broken = Answer::Set("<html>sign in</html>".to_owned());
    let (provider, verifier) =
        following([set(&["a"]), Answer::Away, broken, Answer::Never, set(&["b"])]).await;
    let kept = token("a");
    sleep(PACE.every + Duration::from_millis(500)).await;
    for failures in 1..=3 {
        assert_eq!(provider.asked(), 1 + failures);
        assert!(verifier.verify(&kept, NOW).await.is_ok());
        sleep(PACE.least + Duration::from_secs(if failures == 3 { 6 } else { 1 })).await;
    }
    // It is back, with other keys: the old one's tokens end.
    sleep(Duration::from_secs(2)).await;
    assert!(verifier.verify(&token("b"), NOW).await.is_ok());
    assert!(verifier.verify(&kept, NOW).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_ever_for_a_provider_that_does_not_answer() {
    let (provider, verifier) = following([set(&["a"]), Answer::Never]).await;
    sleep(Duration::from_secs(60)).await;
    let begun = Instant::now();
    assert!(verifier.verify(&token("b"), NOW).await.is_err());
    assert!(begun.elapsed() <= PACE.timeout, "{:?}", begun.elapsed());
    assert!(verifier.verify(&token("a"), NOW).await.is_ok());
    assert_eq!(provider.asked(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_is_away_at_the_start_is_asked_until_it_is_there() {
    let (provider, verifier) = following([Answer::Away, Answer::Away, set(&["a"])]).await;
    assert!(verifier.has_no_keys_yet());
    sleep(3 * PACE.least).await;
    assert_eq!(provider.asked(), 3);
    assert!(!verifier.has_no_keys_yet());
    assert!(verifier.verify(&token("a"), NOW).await.is_ok());
}
