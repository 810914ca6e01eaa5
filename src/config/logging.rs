//! What is logged, and how.

use super::{ConfigError, Settings};

/// `RUST_LOG` and `JUSTSTORAGE_LOG_FORMAT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// Directives as `tracing` reads them; `None` for the command's own default.
    pub directives: Option<String>,
    /// `text` or `json`; `text`.
    pub format: LogFormat,
}

/// The shape of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl LogConfig {
    /// Judges `settings`.
    pub fn new(settings: &Settings) -> Result<Self, ConfigError> {
        if let Some(directives) = &settings.log {
            tracing_subscriber::EnvFilter::try_new(directives)
                .map_err(|error| ConfigError::new("RUST_LOG", error.to_string()))?;
        }
        let format = match settings.log_format.as_deref() {
            None | Some("text") => LogFormat::Text,
            Some("json") => LogFormat::Json,
            Some(_) => return Err(ConfigError::new("JUSTSTORAGE_LOG_FORMAT", "must be text or json")),
        };
        Ok(Self { directives: settings.log.clone(), format })
    }
}
