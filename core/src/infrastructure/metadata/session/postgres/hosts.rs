//! The servers that a URL names: one, or several of which one accepts writes.
//!
//! `postgres://user:password@one:5432,two:5432/database`, as libpq reads it ("Specifying Multiple Hosts" in PostgreSQL's
//! manual); sqlx reads one host. The server that accepts writes is always wanted, so `target_session_attrs` may say so or
//! be absent.

use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;

/// Most servers that a URL may name: each is asked at once when the primary is looked for.
const HOSTS_MAX: usize = 16;

/// One set of options for each host of `url`, in its order. Errors never show the URL, which holds a password.
pub(crate) fn of_url(url: &str) -> Result<Vec<PgConnectOptions>, String> {
    let parts = Parts::of(url)?;
    let hosts = parts.hosts()?;
    if hosts.len() > HOSTS_MAX {
        return Err(format!("names {} hosts, and may name {HOSTS_MAX}", hosts.len()));
    }
    hosts.iter().map(|host| parts.options(host)).collect()
}

/// A URL cut where libpq cuts it.
struct Parts<'u> {
    scheme: &'u str,
    /// User and password with the `@`, or nothing.
    user: &'u str,
    hosts: &'u str,
    path: &'u str,
    query: Vec<(&'u str, &'u str)>,
}

/// A server by its place in the authority, or by parameters of the query.
struct Host<'u> {
    authority: &'u str,
    query: Vec<(&'static str, &'u str)>,
}

impl<'u> Parts<'u> {
    fn of(url: &'u str) -> Result<Self, String> {
        let (scheme, rest) = url.split_once("://").ok_or("must begin with postgres://")?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let (user, hosts) = authority.rfind('@').map_or(("", authority), |at| authority.split_at(at + 1));
        let mut kept = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "target_session_attrs" => wants_the_primary(value)?,
                // Only the order of tries would differ.
                "load_balance_hosts" => {}
                _ => kept.push((name, value)),
            }
        }
        Ok(Self { scheme, user, hosts, path, query: kept })
    }

    fn hosts(&self) -> Result<Vec<Host<'u>>, String> {
        let of_query = |wanted: &str| self.query.iter().rev().find(|(name, _)| *name == wanted);
        let list = |text: &'u str| -> Vec<&'u str> {
            text.split("%2C").flat_map(|part| part.split("%2c")).flat_map(|part| part.split(',')).collect()
        };
        let ports = of_query("port").map_or_else(Vec::new, |(_, ports)| list(ports));
        let names = match of_query("host") {
            Some((_, names)) => list(names),
            None => self.hosts.split(',').collect(),
        };
        if names.len() > 1 && names.contains(&"") {
            return Err("names an empty host between two commas".to_owned());
        }
        if ports.len() > 1 && ports.len() != names.len() {
            return Err(format!("names {} hosts and {} ports", names.len(), ports.len()));
        }
        let in_query = of_query("host").is_some();
        let hosts = names.iter().enumerate().map(|(at, name)| {
            let mut query = Vec::new();
            if in_query {
                query.push(("host", *name));
            }
            if let Some(port) = ports.get(at).or(ports.first()) {
                query.push(("port", *port));
            }
            // A list in the authority is no URL, and the query's host is used.
            let authority = if in_query { "" } else { *name };
            Host { authority, query }
        });
        Ok(hosts.collect())
    }

    fn options(&self, host: &Host<'_>) -> Result<PgConnectOptions, String> {
        let own = |name: &str| host.query.iter().any(|(own, _)| *own == name);
        let shared = self.query.iter().filter(|(name, _)| !own(name));
        let pairs: Vec<_> =
            shared.chain(&host.query).map(|(name, value)| format!("{name}={value}")).collect();
        // A user without a host is no URL: the query's host is used then.
        let authority =
            if host.authority.is_empty() && !self.user.is_empty() { "localhost" } else { host.authority };
        let url = format!("{}://{}{authority}{}?{}", self.scheme, self.user, self.path, pairs.join("&"));
        PgConnectOptions::from_str(&url).map_err(|error| match error {
            sqlx::Error::Configuration(error) => error.to_string(),
            other => other.to_string(),
        })
    }
}

/// Refuses a URL that asks for a server that takes no writes.
fn wants_the_primary(value: &str) -> Result<(), String> {
    match value {
        "any" | "read-write" | "primary" => Ok(()),
        "read-only" | "standby" | "prefer-standby" => Err(format!(
            "target_session_attrs={value} asks for a server that takes no writes: the store uses the primary alone"
        )),
        _ => Err("target_session_attrs must be read-write, primary or any".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn places(url: &str) -> Vec<String> {
        let place = |options: &PgConnectOptions| format!("{}:{}", options.get_host(), options.get_port());
        of_url(url).unwrap().iter().map(place).collect()
    }

    #[test]
    fn every_host_has_the_rest_of_the_url() {
        let url =
            "postgres://u%40x:p@one:5433,two,[::1]:5434/db?sslmode=require&target_session_attrs=read-write";
        assert_eq!(places(url), ["one:5433", "two:5432", "[::1]:5434"]);
        for options in of_url(url).unwrap() {
            assert_eq!((options.get_username(), options.get_database()), ("u@x", Some("db")));
            assert!(matches!(options.get_ssl_mode(), sqlx::postgres::PgSslMode::Require));
        }
        assert_eq!(places("postgresql://u@one/db"), ["one:5432"]);
        assert_eq!(places("postgres:///db?host=one,two&port=5433"), ["one:5433", "two:5433"]);
        assert_eq!(places("postgres://u:p@/db?host=one%2Ctwo&port=1,2"), ["one:1", "two:2"]);
        assert_eq!(places("postgres://u@one,two/db?port=1,2"), ["one:1", "two:2"]);
        let socket = of_url("postgres://u@/db?host=/run/postgresql").unwrap();
        assert_eq!(socket[0].get_socket().unwrap().to_str(), Some("/run/postgresql"));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_the_password() {
        let many = ["h"; 17].join(",");
        for (url, says) in [
            ("postgres://u:hush@one,,two/db", "empty host"),
            ("postgres://u:hush@one:port,two/db", "port"),
            ("postgres://u:hush@one,two/db?port=1,2,3", "2 hosts and 3 ports"),
            ("postgres://u:hush@one/db?target_session_attrs=standby", "takes no writes"),
            ("postgres://u:hush@one/db?target_session_attrs=best", "must be read-write"),
            (&format!("postgres://u:hush@{many}/db"), "17 hosts"),
        ] {
            let refused = of_url(url).unwrap_err();
            assert!(refused.contains(says) && !refused.contains("hush"), "{url}: {refused}");
        }
    }
}
