//! Asking the shared peer registry on behalf of workers, which never wait: [`Resolver`] has a thread of its own.

mod resolver;
mod timed;

pub use resolver::{Asked, Resolver, ResolverSettings};
pub use timed::Timed;
