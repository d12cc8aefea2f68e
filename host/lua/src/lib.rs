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
pub use host::pool::{Host, HostSettings, ScriptError};
pub use host::script_files::ScriptFiles;
pub use host::shared::ScriptState;
