//! The settings of the log: its level and its format.

use tracing::Level;

/// The format of a line of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// The settings of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogSettings {
    /// The format of a line.
    pub format: LogFormat,
    /// The least important level that is logged.
    pub level: Level,
    /// Whether lines have colours if stderr is a terminal.
    pub is_colourful: bool,
}

impl LogSettings {
    /// The settings of commands that serve no requests.
    pub const MESSAGES: Self = Self { format: LogFormat::Text, level: Level::INFO, is_colourful: false };
}
