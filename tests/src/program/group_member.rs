//! `introd probe --group --stay`: a member of a NetGroup of its own process.

use std::collections::BTreeSet;
use std::process::Command;

use introd_netgroup::{GroupSpecifier, Groupspec};
use rtmfp::PeerId;
use rustix::process::Signal;

use super::binary::introd;
use super::process::{Ended, Process};

/// A member of a group, until it is dropped.
pub struct GroupMember(Process);

impl GroupMember {
    /// Connects to that URI, and joins the group.
    pub fn start(uri: &str, spec: &Groupspec) -> Self {
        Self::by(&mut introd(&[]), uri, spec)
    }

    /// The same; `introd` is the command that runs the program.
    pub fn by(introd: &mut Command, uri: &str, spec: &Groupspec) -> Self {
        Self(Process::start(introd.args(["probe", "--group", spec.as_str(), "--stay", uri])))
    }

    /// Its peer ID and its neighbours, from all that it has said; `None` until it has said who it is.
    ///
    /// # Panics
    /// If it says something else.
    pub fn neighbors(&self) -> Option<(PeerId, BTreeSet<PeerId>)> {
        let said = self.0.output().so_far();
        let said = || said.lines().map(str::trim);
        let own = said().find_map(|line| line.strip_prefix("this peer")?.trim().parse().ok())?;
        // The report comes when it has reached whom the server named; what changes later is said line by line.
        said().find(|line| line.starts_with("stop it with"))?;
        let mut neighbors: BTreeSet<PeerId> =
            said().filter_map(|line| line.strip_prefix("neighbour")?.trim().parse().ok()).collect();
        for line in said() {
            if let Some(id) = line.strip_suffix(" is a neighbour") {
                neighbors.insert(id.parse().expect("a peer id"));
            } else if let Some(id) = line.strip_suffix(" is no longer a neighbour") {
                neighbors.remove(&id.parse().expect("a peer id"));
            }
        }
        Some((own, neighbors))
    }

    /// Sends it a signal that ends it.
    pub fn end(self, signal: Signal) -> Ended {
        self.0.signal(signal);
        self.0.ended()
    }
}

/// A groupspec of that name with a server channel.
///
/// # Panics
/// If the name is empty.
pub fn groupspec(name: &str, allows_posting: bool) -> Groupspec {
    let mut specifier = GroupSpecifier::new(name).expect("a name");
    specifier.posting_enabled = allows_posting;
    specifier.server_channel_enabled = true;
    specifier.with_authorizations().expect("a groupspec")
}
