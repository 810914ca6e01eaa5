//! How much one tenant at full load slows another one down. A measurement: run it by name, with `--ignored`
//! and `--nocapture`, on a machine that does nothing else.

use std::time::{Duration, Instant};

use futures::future::join_all;

use crate::harness::{Place, Server};

/// Requests that the loud tenant has under way all the time.
const LOUD: usize = 512;

/// Requests of the quiet tenant, one after the other.
const QUIET: usize = 400;

/// By how much the quiet tenant's 99th percentile may grow (docs/operations.md, "Limits").
const FACTOR_MAX: f64 = 25.0;

struct Tenant {
    http: reqwest::Client,
    url: String,
    token: String,
}

impl Tenant {
    fn new(place: &Place, server: &Server, name: &str) -> Self {
        let key = place.json(&["key", "create", "--kind", "api", "--tenant", name]);
        Self {
            http: reqwest::Client::new(),
            url: format!("{}/v1/objects/by-key/n/{name}", server.native),
            token: key["token"].as_str().unwrap().to_owned(),
        }
    }

    async fn put_and_get(&self, key: &str) {
        let url = format!("{}/{key}", self.url);
        let put = self.http.put(&url).bearer_auth(&self.token).body(vec![7; 4096]);
        assert_eq!(put.send().await.unwrap().status(), 201);
        let got = self.http.get(&url).bearer_auth(&self.token).send().await.unwrap();
        assert_eq!(got.bytes().await.unwrap().len(), 4096);
    }

    async fn p99(&self) -> Duration {
        let mut took = Vec::with_capacity(QUIET);
        for at in 0..QUIET {
            let begun = Instant::now();
            self.put_and_get(&format!("q{at}")).await;
            took.push(begun.elapsed());
        }
        took.sort_unstable();
        took[QUIET * 99 / 100]
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_loud_tenant_does_not_silence_a_quiet_one() {
    for turns in [None, Some("1000000")] {
        let place = Place::new();
        let mut arguments = vec!["--auth", "required", "--log", "warn"];
        arguments.extend(turns.iter().flat_map(|turns| ["--turns", turns]));
        let server = place.serve(&arguments);
        let (loud, quiet) = (Tenant::new(&place, &server, "loud"), Tenant::new(&place, &server, "quiet"));
        let alone = quiet.p99().await;
        let crowd = (0..LOUD).map(|at| {
            let (loud, mut round) = (&loud, 0);
            async move {
                loop {
                    round += 1;
                    loud.put_and_get(&format!("l{at}-{round}")).await;
                }
            }
        });
        let beside = tokio::select! {
            beside = async {
                // Until the crowd is there.
                tokio::time::sleep(Duration::from_secs(3)).await;
                quiet.p99().await
            } => beside,
            _ = join_all::<_>(crowd) => unreachable!("the crowd never ends"),
        };
        let factor = beside.as_secs_f64() / alone.as_secs_f64();
        println!(
            "turns {turns:?}: p99 of put and get alone {alone:?}, beside {LOUD} requests {beside:?}: {factor:.1}"
        );
        assert!(turns.is_some() || factor <= FACTOR_MAX, "{factor}");
        server.stop();
    }
}
