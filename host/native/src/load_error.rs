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
    /// The system does not load it.
    #[error("{} is not a library that can be loaded: {why}", .0.display(), why = .1)]
    NotALibrary(PathBuf, String),
    /// It is some other library.
    #[error("{} is no introd plugin: it does not export introd_plugin_entry_v{major}", .0.display(), major = abi::INTROD_ABI_MAJOR)]
    NoEntry(PathBuf),
    /// It is for hosts of another major version.
    #[error("{} is for hosts of ABI version {theirs}, and this one has ABI version {ours}.{minor}: build it anew", .path.display(), ours = abi::INTROD_ABI_MAJOR, minor = abi::INTROD_ABI_MINOR)]
    OtherMajor {
        /// The file.
        path: PathBuf,
        /// Its major version.
        theirs: u32,
    },
    /// It does not want to work with this host.
    #[error("{} refuses to work with this host", .0.display())]
    Refuses(PathBuf),
    /// Its table is shorter than the first that there was.
    #[error("{}: its table has {has} bytes, and needs {needs} at least", .path.display())]
    TooShort {
        /// The file.
        path: PathBuf,
        /// The bytes that it has.
        has: u32,
        /// Those that it needs.
        needs: usize,
    },
    /// What it says of itself makes no sense.
    #[error("{}: {why}", .0.display(), why = .1)]
    Nonsense(PathBuf, &'static str),
    /// An instance could not be made.
    #[error("plugin {name} ({}) could not be made: {why}", .path.display())]
    Create {
        /// The plugin.
        name: String,
        /// The file.
        path: PathBuf,
        /// What it says.
        why: String,
    },
    /// It does not keep a registry.
    #[error("plugin {name} ({}) keeps no registry: it has no {}", .path.display(), abi::INTROD_EXT_REGISTRY.to_string_lossy())]
    NoRegistry {
        /// The plugin.
        name: String,
        /// The file.
        path: PathBuf,
    },
}
