//! Native plugins in the program: their verdicts act on real clients.

mod connecting;
mod crashing;
mod filtering;
mod listing;
mod order;
mod pending;
mod reloading;

use std::path::Path;

use introd_tests::libraries::library;

/// A plugin element of Application.xml.
pub(crate) fn plugin(library: &Path, config: &str) -> String {
    format!("<Plugin path=\"{}\"><Config>{config}</Config></Plugin>", library.display())
}

/// The plugin that decides as its configuration says.
pub(crate) fn puppet(config: &str) -> String {
    plugin(&library("puppet"), config)
}
