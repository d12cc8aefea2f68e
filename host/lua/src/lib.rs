//! Scripts in Lua.

mod api;
mod checking;
mod engine;
mod host;
mod instance;
mod runtime;
pub mod testing;
#[cfg(test)]
mod tests;

pub use checking::check;
pub use engine::failure::Failure;
pub use host::handle::ScriptHandle;
pub use host::inbox::Full;
pub use host::pool::HostSettings;
pub use host::script_files::ScriptFiles;
pub use host::script_host::{Host, ScriptError};
pub use host::shared::ScriptState;
