//! The addresses of hosts by their names.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;

/// The most addresses of one host that are tried.
const MAX_ADDRESSES: usize = 8;

/// A lookup on its way.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Finds the addresses of a host.
pub trait Resolve: Send + Sync {
    /// Begins to look a name up. The addresses have that port.
    fn resolve(&self, name: &str, port: u16) -> Resolving;
}

/// Asks the system, as other programs do.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: &str, port: u16) -> Resolving {
        let name = name.to_owned();
        Box::pin(async move {
            // The system's function blocks: tokio calls it on one of its threads for that.
            let found = tokio::net::lookup_host((name.as_str(), port)).await?;
            Ok(found.take(MAX_ADDRESSES).collect())
        })
    }
}
