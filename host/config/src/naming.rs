//! Names of virtual hosts and of applications.

use super::shown::shown_value;
use super::syntax::{Described, Syntax, Wrong};
use super::texts::text;

/// Another name of a virtual host, or none.
pub(super) struct HostName;

impl Described for HostName {
    fn describe(&self) -> String {
        text("").describe()
    }

    fn default_text(&self) -> String {
        String::new()
    }
}

impl Syntax for HostName {
    type Value = Option<String>;

    fn parse(&self, text: &str) -> Result<Option<String>, Wrong> {
        let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':');
        if text.len() <= 253 && text.chars().all(is_part) {
            Ok(Some(text.to_lowercase()))
        } else {
            Err(format!("`{}` is no name of a host", shown_value(text)).into())
        }
    }

    fn default(&self) -> Option<String> {
        None
    }
}

/// The name of an application, which has this default.
pub(super) struct ApplicationName(pub(super) &'static str);

impl Described for ApplicationName {
    fn describe(&self) -> String {
        text("").describe()
    }

    fn default_text(&self) -> String {
        self.0.into()
    }
}

impl Syntax for ApplicationName {
    type Value = String;

    fn parse(&self, text: &str) -> Result<String, Wrong> {
        if is_application(text) {
            Ok(text.to_owned())
        } else {
            Err(format!("`{}` is no name of an application", shown_value(text)).into())
        }
    }

    fn default(&self) -> String {
        self.0.into()
    }
}

/// Whether an application may have that name: one folder deep, no way out of it, and nothing that no client can ask for.
pub(super) fn is_application(name: &str) -> bool {
    let is_barred = |c: char| matches!(c, '/' | '\\') || c.is_control();
    (1..=255).contains(&name.len()) && !name.starts_with('.') && !name.contains(is_barred)
}
