//! Starts programs for tests: `introd` as a server, as a probe, and whatever else a test runs beside it.
//!
//! A [`Server`] is started with a configuration that [`Files`] wrote, and waited for by what it says: nothing sleeps. What a
//! program writes is read all the time, can be searched and waited for ([`Process::log`]), and is shown when the test fails. A
//! program is killed when its value is dropped.
//!
//! ```no_run
//! use introd_tests::program::{Files, Server, probe};
//!
//! let files = Files::new();
//! files.application("<RTMFP><PeerLookupEvents mode=\"None\"/></RTMFP>");
//! let server = Server::configured(files.path(), 2);
//! let ended = probe(&["--meet", "--json", &server.uri(0)]);
//! assert_eq!(ended.json()["introduced"], true);
//! assert!(server.stop().counter("rtmfp_redirects") > 0);
//! ```
//!
//! Tests that run programs elsewhere (in a network namespace, on a core) make the command themselves and hand it to
//! [`Server::by`], [`Process::start`] or [`Peer::by`].

mod binary;
mod files;
mod group_member;
mod probe;
mod process;
mod server;
mod terminal;
mod text;

pub use binary::{binary, introd};
pub use files::{Files, SHIPPED};
pub use group_member::{GroupMember, groupspec};
pub use probe::{Peer, probe};
pub use process::{Ended, Process};
pub use server::Server;
pub use terminal::Terminal;
pub use text::Text;
