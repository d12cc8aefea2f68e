//! Why a plugin cannot be loaded.

use std::io;
use std::path::PathBuf;

use introd_plugin::abi;

/// Why a plugin cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("{}: {why}", .0.display(), why = .1)]
    File(PathBuf, io::Error),
    /// The system cannot load the file as a library.
    #[error("{} cannot be loaded: {why}", .0.display(), why = .1)]
    NotALibrary(PathBuf, String),
    /// The library is no plugin.
    #[error("{} is no introd plugin: it does not export introd_plugin_entry_v{major}", .0.display(), major = abi::INTROD_ABI_MAJOR)]
    NoEntry(PathBuf),
    /// The plugin is for hosts of another major version.
    #[error("{} is for hosts of ABI version {theirs}, and this one has ABI version {ours}.{minor}: rebuild the plugin for it", .path.display(), ours = abi::INTROD_ABI_MAJOR, minor = abi::INTROD_ABI_MINOR)]
    OtherMajor {
        /// The file.
        path: PathBuf,
        /// The plugin's major version.
        theirs: u32,
    },
    /// The plugin refuses this host.
    #[error("{} refuses to work with this host", .0.display())]
    Refuses(PathBuf),
    /// The plugin's table is shorter than that of the first version.
    #[error("{}: its table has {has} bytes, and needs {needs} at least", .path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// The bytes that the table has.
        has: u32,
        /// The bytes that it needs.
        needs: usize,
    },
    /// The plugin's table makes no sense.
    #[error("{}: {why}", .0.display(), why = .1)]
    Nonsense(PathBuf, &'static str),
    /// An instance could not be made.
    #[error("plugin {name} ({}) could not be made: {why}", .path.display())]
    Create {
        /// The plugin.
        name: String,
        /// The file.
        path: PathBuf,
        /// The plugin's own reason.
        why: String,
    },
    /// The plugin is no registry.
    #[error("plugin {name} ({}) keeps no registry: it has no {}", .path.display(), abi::INTROD_EXT_REGISTRY.to_string_lossy())]
    NoRegistry {
        /// The plugin.
        name: String,
        /// The file.
        path: PathBuf,
    },
}
