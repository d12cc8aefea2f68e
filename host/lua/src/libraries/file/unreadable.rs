//! Why nothing is made of the text of a file.

/// Checks the clock of the handler that runs.
pub(super) type OnTime<'a> = &'a dyn Fn() -> mlua::Result<()>;

/// After so many lines or elements the clock is checked.
pub(super) const CHECK_EVERY: usize = 256;

/// Why nothing is made of the text of a file.
#[derive(Debug)]
pub(super) enum Unreadable {
    /// What is wrong with the text: the script is told.
    Text(String),
    /// The script's time or memory is used up: that ends the handler.
    Limit(mlua::Error),
}

impl Unreadable {
    /// The same, with the place in the text.
    pub(super) fn at(self, place: impl FnOnce() -> String) -> Self {
        match self {
            Self::Text(why) => Self::Text(format!("{}: {why}", place())),
            limit => limit,
        }
    }
}

impl From<mlua::Error> for Unreadable {
    fn from(error: mlua::Error) -> Self {
        Self::Limit(error)
    }
}

impl From<String> for Unreadable {
    fn from(why: String) -> Self {
        Self::Text(why)
    }
}

/// The text of a file in UTF-8, without the mark of its byte order.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Unreadable> {
    let text = std::str::from_utf8(bytes);
    let text = text.map_err(|error| format!("it is not UTF-8, from byte {} on", error.valid_up_to() + 1))?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}
