//! Plugins for introd.
//!
//! A plugin is a shared library that decides for the server: who may connect, whether and how a lookup is answered, which members
//! a group begins with, and where peers of other servers are found. It is written in Rust with this crate, or in C or C++ with
//! `include/introd_plugin.h`; `README.md` beside this file leads through both.
//!
//! - [`Plugin`] is what a plugin in Rust implements, [`export!`] makes a library of it.
//! - [`abi`] is the C ABI itself. Nothing of it is needed for plugins in Rust.
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

/// The example of README.md is built with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub mod abi;
mod completion;
mod config;
mod event;
mod export;
pub mod files;
mod groups;
mod host;
mod plugin;
mod raw;
mod registry;
mod values;
mod verdict;

pub use completion::{Completion, Later, NoToken, Reply, TooLate};
pub use config::Config;
#[cfg(feature = "config")]
pub use config::ConfigError;
pub use event::{AddressChange, Connect, Disconnect, Lookup};
#[doc(hidden)]
pub use export::glue;
pub use groups::{GroupEvent, GroupPlugin, GroupVerdict, Hint, Members};
pub use host::{Counter, Gauge, Host, HostError, Level, LocalPeer, Timer};
pub use plugin::{CreateError, Plugin, TimerPlugin};
pub use registry::{RegistryError, RegistryPlugin, Standing};
pub use values::{Address, Client, GroupId, NotAnId, Origin, PeerId, Token};
pub use verdict::{ConnectVerdict, LookupVerdict, RegistryVerdict, Verdict};
