//! `introd probe`: a client of its own process.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use super::binary::introd;
use super::process::{Ended, Process};

/// Runs `introd probe` with these arguments to its end.
pub fn probe(arguments: &[&str]) -> Ended {
    Process::start(introd(&["probe"]).args(arguments)).ended()
}

/// A client in a process of its own (`introd probe --stay`), which is there for others to find until it is dropped.
pub struct Peer {
    process: Process,
    /// Its peer id.
    pub id: String,
    /// What it says of its connection.
    pub report: Value,
}

impl Peer {
    /// Connects to that URI.
    pub fn stay(uri: &str) -> Self {
        Self::by(&mut introd(&[]), uri)
    }

    /// Connects to that URI; `introd` is the command that runs the program.
    ///
    /// # Panics
    /// If it does not connect.
    pub fn by(introd: &mut Command, uri: &str) -> Self {
        let mut process = Process::start(introd.args(["probe", "--stay", "--json", uri]));
        let line = process.line().unwrap_or_default();
        let report: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
        assert_eq!(report["connected"], true, "{report}");
        let id = report["peer_id"].as_str().expect("a peer that is connected has an id").to_owned();
        Self { process, id, report }
    }

    /// Disconnects in an orderly way.
    pub fn leave(self) -> Ended {
        self.end(Signal::TERM)
    }

    /// Sends it a signal that ends it.
    pub fn end(self, signal: Signal) -> Ended {
        self.process.signal(signal);
        self.process.ended()
    }

    /// Waits for its end, which something else brings about.
    pub fn ended(self) -> Ended {
        self.process.ended()
    }
}
