//! Lookups in the shared peer registry for the workers, which must not wait: [`Resolver`] has a thread of its own.

mod for_scripts;
mod resolver;
mod settings;
mod unknown_peers;

pub use for_scripts::ForScripts;
pub use resolver::{Asked, Resolver};
pub use settings::ResolverSettings;
