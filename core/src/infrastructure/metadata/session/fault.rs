//! Why a statement failed, and whether to try its transaction again.

use std::borrow::Cow;

use sqlx::error::ErrorKind;

use crate::application::ports::metadata::MetadataError;

/// Why a transaction or a read did not come to its end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It ran into another transaction; from the beginning it may succeed.
    Collision(String),
    /// The server takes no writes, or is no primary: another one may be.
    Demoted(String),
    /// Trying again will not help, at least not now.
    Final(MetadataError),
}

impl Fault {
    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::Final(MetadataError::Failed(what.into()))
    }

    /// Whether the database itself is in trouble, or another server is in this one's place, so that no other transaction
    /// would fare better.
    pub(crate) fn is_outage(&self) -> bool {
        matches!(
            self,
            Self::Demoted(_)
                | Self::Final(
                    MetadataError::Unavailable(_)
                        | MetadataError::Full(_)
                        | MetadataError::Superseded
                        | MetadataError::LeaseLost(_)
                )
        )
    }

    /// Whether it may be that the server is not there any more, or is not the primary.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Self::Demoted(_) | Self::Final(MetadataError::Unavailable(_)))
    }
}

impl From<Fault> for MetadataError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Collision(what) => Self::Contended(what),
            Fault::Demoted(what) => Self::Unavailable(format!("the database server {what}")),
            Fault::Final(error) => error,
        }
    }
}

impl From<MetadataError> for Fault {
    fn from(error: MetadataError) -> Self {
        Self::Final(error)
    }
}

impl From<sqlx::Error> for Fault {
    fn from(error: sqlx::Error) -> Self {
        let text = error.to_string();
        match &error {
            sqlx::Error::Database(database) => match database.kind() {
                // A key, a bucket, a blob or a latest version that another transaction brought first; a
                // reference to a row that another transaction removed. A fresh look decides anew.
                ErrorKind::UniqueViolation | ErrorKind::ForeignKeyViolation => Self::Collision(text),
                _ => of_code(database.code(), text),
            },
            sqlx::Error::PoolTimedOut => Self::Final(MetadataError::Unavailable(
                "no connection in time: the server is away, or every connection is in use".to_owned(),
            )),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed
            | sqlx::Error::Protocol(_) => Self::Final(MetadataError::Unavailable(text)),
            _ => Self::Final(MetadataError::Failed(text)),
        }
    }
}

/// SQLite's codes are numbers (sqlite.org/rescode.html), PostgreSQL's have five characters ("PostgreSQL
/// Error Codes", appendix A of its manual).
fn of_code(code: Option<Cow<'_, str>>, text: String) -> Fault {
    let code = code.unwrap_or_default();
    if let (true, Ok(number)) = (code.len() < 5, code.parse::<u32>()) {
        // The low byte is the primary result code.
        return match number & 0xff {
            // BUSY and LOCKED: another process held the write lock for longer than the busy timeout.
            5 | 6 => Fault::Collision(text),
            13 => Fault::Final(MetadataError::Full(text)),
            // NOMEM; READONLY, IOERR, CANTOPEN, PROTOCOL: the file or its directory cannot be used just now.
            7 | 8 | 10 | 14 | 15 => Fault::Final(MetadataError::Unavailable(text)),
            _ => Fault::Final(MetadataError::Failed(text)),
        };
    }
    match code.as_ref() {
        // Serialization failure, deadlock, lock timeout.
        "40001" | "40P01" | "55P03" => Fault::Collision(text),
        "53100" => Fault::Final(MetadataError::Full(text)),
        // Statement timeout; shutdown, crash, start-up; too many connections; out of memory.
        "57014" | "57P01" | "57P02" | "57P03" | "53300" | "53200" => {
            Fault::Final(MetadataError::Unavailable(text))
        }
        "25006" => Fault::Demoted(format!("takes no writes: {text}")),
        // A prepared statement that is another client's, or another server session's.
        "26000" | "42P05" => Fault::Final(MetadataError::Unavailable(format!(
            "{text}: a pooler in transaction mode mixes up prepared statements; set JUSTSTORAGE_DATABASE_PREPARED=false, \
             or let it track them (PgBouncer 1.21 and newer: max_prepared_statements)"
        ))),
        class if class.starts_with("08") => Fault::Final(MetadataError::Unavailable(text)),
        _ => Fault::Final(MetadataError::Failed(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_engines_are_understood() {
        let fault = |code: &'static str| of_code(Some(code.into()), String::new());
        assert!(matches!(fault("5"), Fault::Collision(_)));
        assert!(matches!(fault("517"), Fault::Collision(_)));
        assert!(matches!(fault("13"), Fault::Final(MetadataError::Full(_))));
        assert!(matches!(fault("40001"), Fault::Collision(_)));
        assert!(matches!(fault("57P01"), Fault::Final(MetadataError::Unavailable(_))));
        assert!(matches!(fault("08006"), Fault::Final(MetadataError::Unavailable(_))));
        assert!(matches!(fault("25006"), Fault::Demoted(_)));
        assert!(matches!(fault("53100"), Fault::Final(MetadataError::Full(_))));
        assert!(matches!(fault("42601"), Fault::Final(MetadataError::Failed(_))));
    }
}
