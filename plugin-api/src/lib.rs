//! Write plugins for introd: shared libraries that decide for the server who may connect, how lookups are answered, which members a
//! group starts with, and where the peers of other servers are.
//!
//! This crate is the C ABI between server and plugins ([`abi`], from which `include/introd_plugin.h` is generated), and a safe Rust SDK
//! over it. It knows neither the server nor the protocol: whatever both sides exchange is a type of this crate. Without the default
//! feature `config` it has no dependencies.
//!
//! To write a plugin, begin with [`Plugin`], which a plugin implements, and [`export!`], which makes a library of it; [`Host`] is what
//! a plugin can call. `README.md` beside this crate is the guide, for C and C++ as well. To change the ABI, begin with [`abi`].
//!
//! ```
//! use introd_plugin::{Config, CreateError, Host, Later, Lookup, LookupVerdict, Plugin, Reply};
//!
//! /// Denies all lookups from one address.
//! struct KeepOut {
//!     address: std::net::IpAddr,
//! }
//!
//! impl Plugin for KeepOut {
//!     const NAME: &'static str = "keep-out";
//!     const VERSION: &'static str = "1.0.0";
//!     const DESCRIPTION: &'static str = "Denies all lookups from one address";
//!
//!     fn create(_host: Host, config: &Config<'_>) -> Result<Self, CreateError> {
//!         let address = config.text("address").ok_or("<address> is missing")?;
//!         Ok(Self { address: address.parse()? })
//!     }
//!
//!     fn lookup(&self, lookup: &Lookup<'_>, _: Later<'_, LookupVerdict>) -> Reply<LookupVerdict> {
//!         if lookup.initiator().ip() == self.address {
//!             return LookupVerdict::Deny.into();
//!         }
//!         LookupVerdict::Continue.into()
//!     }
//! }
//!
//! introd_plugin::export!(KeepOut);
//! # fn main() {}
//! ```
#![allow(unsafe_code, reason = "this crate is the boundary to C")]

/// Has the example of README.md built with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod abi;
mod completion;
mod config;
mod event;
mod export;
pub mod files;
mod group_registry;
mod groups;
mod host;
mod plugin;
mod raw;
mod registry;
mod values;
mod verdict;

/// The text of `introd_plugin.h`, the C header of this version of the ABI: `introd plugins --header` prints it.
pub const HEADER: &str = include_str!("../include/introd_plugin.h");

pub use completion::{Completion, Later, Reply, TooLate, TooManyPending};
pub use config::Config;
#[cfg(feature = "config")]
pub use config::ConfigError;
pub use event::{AddressChange, Connect, Disconnect, Lookup};
#[doc(hidden)]
pub use export::glue;
pub use group_registry::{GroupMember, GroupRegistryPlugin, NeighborQuery, RingPosition};
pub use groups::{GroupEvent, GroupPlugin, GroupVerdict};
pub use host::{Counter, Gauge, Hint, Host, HostError, Level, LocalPeer, MemberChoice, Timer};
pub use plugin::{CreateError, Plugin, TimerPlugin};
pub use registry::{InForce, PeerSession, RegistryError, RegistryPlugin, RegistryServer};
pub use values::{Address, Client, GroupId, InvalidId, Origin, PeerId, Token};
pub use verdict::{AnyVerdict, ConnectVerdict, LookupVerdict, MembersVerdict, RegistryVerdict, Relay};
