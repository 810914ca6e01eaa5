//! Clients of a space that has an upstream: who has come over already, and by its absence who has not.
//!
//! Names are what clients say of themselves. So they are cut, cleaned and bounded, and what is over the bound is counted together:
//! no client can push another one out of the table.

use std::collections::HashMap;

use crate::domain::timestamp::Timestamp;

/// Clients of one space that have a row of their own.
pub const CLIENTS_MAX: usize = 1000;

/// User agents of one credential that have a row of their own.
pub const AGENTS_MAX: usize = 20;

/// What stands for all that are over a bound.
pub const OTHERS: &str = "(others)";

/// Longest name of a credential and of a user agent, in bytes.
const NAME_BYTES_MAX: usize = 256;
const AGENT_BYTES_MAX: usize = 128;

/// A credential and what a client says of itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Client {
    /// The credential's id, `jwt:` and a subject, `root`, or `anonymous`.
    pub who: String,
    /// The `User-Agent` of its requests; empty if they have none.
    pub agent: String,
}

impl Client {
    /// Cuts and cleans both names. What an AWS SDK says of the single request (`m/E,b`) is left out: it is another one for each
    /// operation of one client.
    pub fn new(who: &str, agent: &str) -> Self {
        let words: Vec<&str> = agent.split(' ').filter(|word| !word.starts_with("m/")).collect();
        Self { who: cleaned(who, NAME_BYTES_MAX), agent: cleaned(&words.join(" "), AGENT_BYTES_MAX) }
    }
}

/// Visible characters alone, as far as they fit.
fn cleaned(text: &str, most: usize) -> String {
    let mut out: String =
        text.chars().take(most).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    out.truncate(out.floor_char_boundary(most));
    out
}

/// What a client asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Reads answered from here.
    pub local: u64,
    /// Reads passed on from the upstream.
    pub upstream: u64,
    /// Reads of objects that were fetched, and are here since.
    pub pulled: u64,
    /// Requests to write and to delete.
    pub changes: u64,
    /// Listings, and requests about what is known of an object or of the space.
    pub other: u64,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, more: Self) {
        self.local = self.local.saturating_add(more.local);
        self.upstream = self.upstream.saturating_add(more.upstream);
        self.pulled = self.pulled.saturating_add(more.pulled);
        self.changes = self.changes.saturating_add(more.changes);
        self.other = self.other.saturating_add(more.other);
    }
}

/// A client's requests over some time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Who.
    pub client: Client,
    /// When the first of them came.
    pub first_at: Timestamp,
    /// When the last one came.
    pub last_at: Timestamp,
    /// How many.
    pub counts: Counts,
}

impl Seen {
    fn join(&mut self, other: &Self) {
        self.first_at = self.first_at.min(other.first_at);
        self.last_at = self.last_at.max(other.last_at);
        self.counts.add(other.counts);
    }
}

/// Rows on which the clients of one space are counted.
#[derive(Debug, Default)]
pub struct Rows {
    /// What was counted since; `None` of a row that was there before and was not counted on.
    rows: HashMap<Client, Option<Seen>>,
    /// How many rows each credential has.
    agents: HashMap<String, usize>,
}

impl Rows {
    /// Beside rows that are there.
    pub fn beside(known: Vec<Client>) -> Self {
        let mut rows = Self::default();
        for client in known {
            rows.insert(client, None);
        }
        rows
    }

    fn insert(&mut self, client: Client, seen: Option<Seen>) {
        *self.agents.entry(client.who.clone()).or_default() += 1;
        self.rows.insert(client, seen);
    }

    /// Counts requests of a client on its row, or on one for all that are over the bound.
    pub fn note(&mut self, seen: &Seen) {
        let client = self.row_of(&seen.client);
        match self.rows.get_mut(&client) {
            Some(Some(row)) => row.join(seen),
            Some(empty) => *empty = Some(Seen { client, ..seen.clone() }),
            None => self.insert(client.clone(), Some(Seen { client, ..seen.clone() })),
        }
    }

    fn row_of(&self, client: &Client) -> Client {
        if self.rows.contains_key(client) {
            client.clone()
        } else if self.agents.get(&client.who).is_some_and(|agents| *agents >= AGENTS_MAX) {
            Client { who: client.who.clone(), agent: OTHERS.to_owned() }
        } else if self.rows.len() >= CLIENTS_MAX {
            Client { who: OTHERS.to_owned(), agent: OTHERS.to_owned() }
        } else {
            client.clone()
        }
    }

    /// What was counted, each row once.
    pub fn counted(self) -> Vec<Seen> {
        self.rows.into_values().flatten().collect()
    }
}

#[cfg(test)]
#[allow(clippy::panic)]
mod tests {
    use super::*;

    fn seen(who: &str, agent: &str) -> Seen {
        let counts = Counts { local: 1, ..Counts::default() };
        Seen { client: Client::new(who, agent), first_at: Timestamp(1), last_at: Timestamp(2), counts }
    }

    #[test]
    fn names_are_cut_and_cleaned() {
        let client = Client::new("a\u{1b}[2Jb", &"x\n".repeat(1000));
        assert_eq!(client.who, "a?[2Jb");
        assert_eq!((client.agent.len(), client.agent.contains('\n')), (128, false));
        assert_eq!(Client::new("é", "").who, "?");
        let sdk =
            |features| Client::new("k", &format!("aws-sdk-rust/1.7.0 ua/2.1 {features} md/http#hyper-1.x"));
        assert_eq!(sdk("m/E,b"), sdk("m/N"));
    }

    fn rows(known: Vec<Client>, seen: impl IntoIterator<Item = Seen>) -> Vec<Seen> {
        let mut rows = Rows::beside(known);
        for one in seen {
            rows.note(&one);
        }
        let mut rows = rows.counted();
        rows.sort_by(|a, b| a.client.cmp(&b.client));
        rows
    }

    /// Whoever invents names is counted together, and pushes nobody out.
    #[test]
    fn no_client_pushes_another_one_out() {
        let many =
            (0..100).map(|n| seen("flood", &format!("agent {n}"))).chain([seen("forgotten", "old-writer/1")]);
        let rows_of_many = rows(vec![Client::new("forgotten", "old-writer/1")], many);
        let of = |who: &str| rows_of_many.iter().filter(|row| row.client.who == who).count();
        assert_eq!((of("flood"), of("forgotten")), (AGENTS_MAX + 1, 1));
        let others = rows_of_many.iter().find(|row| row.client.agent == OTHERS).map(|row| row.counts.local);
        assert_eq!(others, Some(80));
        let known: Vec<Client> = (0..CLIENTS_MAX).map(|n| Client::new(&n.to_string(), "")).collect();
        let rows = rows(known, [seen("new", ""), seen("newer", ""), seen("7", "")]);
        let named: Vec<_> = rows.iter().map(|row| (row.client.who.as_str(), row.counts.local)).collect();
        assert_eq!(named, [(OTHERS, 2), ("7", 1)]);
    }

    /// Also what was counted apart, and comes together later.
    #[test]
    fn a_row_holds_the_first_and_the_last_time() {
        let at =
            |first, last| Seen { first_at: Timestamp(first), last_at: Timestamp(last), ..seen("a", "b") };
        let [row] = &rows(Vec::new(), [at(5, 6), at(1, 2), at(8, 9)])[..] else { panic!("one row") };
        assert_eq!((row.first_at, row.last_at, row.counts.local), (Timestamp(1), Timestamp(9), 3));
    }
}
