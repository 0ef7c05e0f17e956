//! The settings say which lines the log has, and what they look like.

use tracing::Level;

/// The format of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// The format and the content of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// The format of a line.
    pub format: LogFormat,
    /// The least important lines that it has.
    pub level: Level,
    /// Whether lines may have colours, if stderr is a terminal.
    pub is_colourful: bool,
}

impl LogSettings {
    /// Messages for people, without requests.
    pub const MESSAGES: Self = Self { format: LogFormat::Text, level: Level::INFO, is_colourful: false };
}
