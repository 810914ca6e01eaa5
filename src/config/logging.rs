//! Log settings.

use super::{ConfigError, Settings, names};

/// `RUST_LOG` and `JUSTSTORAGE_LOG_FORMAT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Directives as `tracing` reads them; `None` for the command's own default.
    pub directives: Option<String>,
    /// `text` or `json`; `text`.
    pub format: LogFormat,
}

/// The format of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

impl LogConfig {
    /// Validates `settings`.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        if let Some(directives) = &settings.log {
            tracing_subscriber::EnvFilter::try_new(directives)
                .map_err(|error| ConfigError::new(names::RUST_LOG, error.to_string()))?;
            if let Some(word) = without_level(directives) {
                let meant = if word.eq_ignore_ascii_case("warning") { "warn" } else { "info" };
                let reason = format!(
                    "{word:?} says no level, and would silence everything else, the audit log too: write a level (off, \
                     error, warn, info, debug, trace), such as {meant}, or TARGET=LEVEL"
                );
                return Err(ConfigError::new(names::RUST_LOG, reason));
            }
        }
        let format = match settings.log_format.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(_) => return Err(ConfigError::new(names::LOG_FORMAT, "must be text or json")),
        };
        Ok(Self { directives: settings.log.clone(), format })
    }
}

/// The first directive without a level. `tracing` would treat it as a target, log everything of it and nothing of the
/// others.
fn without_level(directives: &str) -> Option<&str> {
    let mut depth = 0_i32;
    let parts = directives.split(|c| {
        depth += i32::from(matches!(c, '[' | '{')) - i32::from(matches!(c, ']' | '}'));
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|part| !part.is_empty()).find(|part| {
        let is_level = part.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
        // Fields of a span hold `=` too.
        let gives_level = part.rsplit(']').next().is_some_and(|tail| tail.contains('='));
        !is_level && !gives_level
    })
}

#[cfg(test)]
mod tests {
    use super::without_level;

    #[test]
    fn a_directive_without_a_level_is_found() {
        for right in [
            "info",
            "WARN",
            "off",
            "3",
            "info,access=warn",
            "juststorage_core=debug",
            "trace,s3s=trace",
            "",
            "[span{field=1,other=2}]=debug,info",
            "info, audit=info,",
        ] {
            assert_eq!(without_level(right), None, "{right}");
        }
        for (wrong, word) in [
            ("warning", "warning"),
            ("info,juststorage_core", "juststorage_core"),
            ("verbose", "verbose"),
            ("info,[span{field=1}]", "[span{field=1}]"),
        ] {
            assert_eq!(without_level(wrong), Some(word));
        }
    }
}
