//! Lookups in the shared peer registry for the workers, which must not wait: [`Resolver`] has a thread of its own.

mod resolver;
mod settings;
mod timed;
mod unknown_peers;

pub use resolver::{Asked, Resolver};
pub use settings::ResolverSettings;
pub use timed::Timed;
