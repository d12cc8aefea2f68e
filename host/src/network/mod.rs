//! Where the server stands in its network: where others reach it, which network it shares with clients, and whether something in front of
//! it hides where clients are.
//!
//! [`Network`] has what is known, as workers and the administration read it ([`Standing`]), and looks again when it is told to: the thread of
//! [`NetworkWatcher`] tells it when the kernel says that addresses or routes have changed, a reload does, and the name of `PublicIP` is looked
//! up every few minutes. Workers count clients for [`Crowds`].

mod crowds;
mod known;
mod listener;
mod standing;
mod watcher;

pub use crowds::{Crowds, Noticed, Sighting};
pub use known::{Network, StandingReader};
pub use listener::Listener;
pub use standing::Standing;
pub use watcher::NetworkWatcher;
