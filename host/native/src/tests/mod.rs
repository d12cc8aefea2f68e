//! Plugins of this process: what the host does for them, and what it does not.

pub(crate) mod bench;
pub(crate) mod fake;
pub(crate) mod files;
mod host;
mod instance;
mod logged;
mod registry;
mod tables;
mod tokens;
