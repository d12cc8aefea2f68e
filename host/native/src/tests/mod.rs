//! Plugins of this process: what the host does for them, and what it does not.

mod fake;
mod host;
mod instance;
mod tables;
mod tokens;
