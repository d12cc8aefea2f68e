//! The configuration: the files of Adobe's servers, read into one checked [`Config`].
//!
//! A folder `conf` holds `Server.xml`, `Users.xml`, `introd.ini`, and a folder for each adaptor; that holds `Adaptor.xml` and a
//! folder for each virtual host, with `Vhost.xml` and `Application.xml`. An application's folder may hold an `Application.xml`
//! that overrides the virtual host's. Whatever is missing has the built-in defaults, which are also what the shipped files say.
//!
//! This crate reads files and nothing else: it knows no socket, no session, no script, and no other crate of the server.
//! What may stand in a file is written once, in `keys/`: each key has a path, a syntax, a default and a meaning. The reading, the
//! checks of names, the suggestions, and the tables of `conf/README.md` all come from it. Begin reading there, then in `load.rs`.

mod access;
mod adaptor;
mod alone;
mod application;
mod applications;
mod choices;
mod config;
mod diagnostic;
mod duration;
mod encoding;
mod grouping;
mod http_hosts;
mod http_settings;
mod idle;
mod keeping;
mod key;
mod keys;
mod listen;
mod load;
mod name_access;
mod names;
mod naming;
mod numbers;
mod overlay;
mod password;
mod plugin;
mod ports;
mod positions;
mod presence;
mod problem;
mod problems;
mod public_host;
mod reading;
mod reference;
mod relay;
mod rtmfp;
mod rule;
mod schema;
mod server;
mod settings;
mod shown;
mod source;
mod summary;
mod syntax;
mod texts;
mod users;
mod variables;
mod vhost;
mod view;
mod words;
mod xml;

#[cfg(test)]
mod tests;

pub use access::{Access, UnknownHost};
pub use adaptor::Adaptor;
pub use application::{Application, FileLimits, NetConnectionLimits, Policy, RelayLimits, Script};
pub use choices::{
    ConnectDefault, Fallback, ForwardedHello, GroupScope, JoinLeaveMode, LookupMode, LookupsFrom, OtherScripts,
    RelayCallScope, RelayMode,
};
pub use config::{Broken, Config, Loaded};
pub use diagnostic::Diagnostic;
pub use http_hosts::HttpHosts;
pub use http_settings::HttpSettings;
pub use idle::IdleClients;
pub use keeping::{Kept, Otherwise};
pub use listen::{Listen, PortSet};
pub use load::origin;
pub use name_access::NameAccess;
pub use names::nearest;
pub use password::Password;
pub use plugin::Plugin;
pub use ports::PortList;
pub use problem::{Place, Problem, Severity};
pub use problems::Problems;
pub use public_host::PublicHost;
pub use reading::DEFAULT_VHOST;
pub use reference::reference;
pub use relay::Relay;
pub use rtmfp::{KeepAlive, Rtmfp};
pub use server::{AdminServer, LoginLimits, Registry, Server, ServerLimits};
pub use settings::XmlSettings;
pub use users::{HttpCommands, User, Users};
pub use variables::Secrets;
pub use vhost::{CATCH_ALL, Registered, Vhost};
