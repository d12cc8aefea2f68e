//! What a recording holds until it is written.

use std::collections::BTreeMap;
use std::fs::File;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use super::session::Sessions;

/// What has been recorded.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) file: File,
    pub(super) description: String,
    pub(super) peers: BTreeMap<String, String>,
    pub(super) sessions: Sessions,
    pub(super) datagrams: Vec<Captured>,
    /// The datagrams' bytes, one after the other.
    pub(super) bytes: Vec<u8>,
    /// How many datagrams and sessions were left out.
    pub(super) over_limit: usize,
}

/// A datagram. Its bytes end at `end`, and begin where those of the datagram before it end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Captured {
    pub(super) time: Instant,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) end: usize,
}

impl Recording {
    pub(super) fn new(file: File, description: String) -> Self {
        Self {
            file,
            description,
            peers: BTreeMap::new(),
            sessions: Sessions::default(),
            datagrams: Vec::new(),
            bytes: Vec::new(),
            over_limit: 0,
        }
    }

    /// Counts what finds no room, and logs the first time.
    pub(super) fn leave_out(&mut self, path: &Path) {
        if self.over_limit == 0 {
            let packets = self.datagrams.len();
            tracing::warn!(path = %path.display(), packets, "recording full: the rest is left out");
        }
        self.over_limit += 1;
    }

    /// The datagrams with their bytes, in the order recorded.
    pub(super) fn datagrams(&self) -> impl Iterator<Item = (&Captured, &[u8])> {
        let mut start = 0;
        self.datagrams.iter().map(move |captured| {
            let bytes = self.bytes.get(start..captured.end).unwrap_or_default();
            start = captured.end;
            (captured, bytes)
        })
    }
}
