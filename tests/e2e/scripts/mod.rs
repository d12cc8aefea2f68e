//! Applications with scripts, in the program: what the scripts decide acts on real clients.

mod api;
mod document;
mod hostile;
mod lifetimes;
mod reload;
mod shipped;

use std::time::{Duration, Instant};

use introd_client::Client;
use introd_flash::amf::Value;
use introd_flash::client::Incoming;

use crate::harness::clients::{PATIENCE, call};
use crate::harness::program::{Ended, Running, Server};

/// The settings of an application whose script answers all lookups.
const ALL_LOOKUPS: &str = "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>";

/// What a script has said between these marks, in order.
fn said(log: &str) -> Vec<&str> {
    let marked = log.lines().filter_map(|line| line.split_once("<<")?.1.split_once(">>"));
    marked.map(|(said, _)| said).collect()
}

/// Waits until the server's log has what is wanted.
async fn logged(server: &Server, what: &str, times: usize) {
    let deadline = Instant::now() + PATIENCE;
    while server.log().matches(what).count() < times {
        assert!(Instant::now() < deadline, "not logged {times} times: {what:?}\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Calls a function of the script: what it returns, or the description of the error.
async fn ask(client: &mut Client, method: &str, arguments: Vec<Value>) -> Result<Value, String> {
    static LAST: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1000);
    let transaction = f64::from(LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    match call(client, method, transaction, arguments).await {
        Incoming::Result { mut values, .. } => Ok(values.pop().unwrap_or(Value::Null)),
        Incoming::Error { status, .. } => Err(status.description),
        other => panic!("{other:?}"),
    }
}

/// A peer in a process of its own that stays until it is dropped.
struct Peer {
    _process: Running,
    id: String,
}

impl Peer {
    fn stay(uri: &str) -> Self {
        let mut process = Running::start(&["probe", "--stay", "--json", uri]);
        let line = process.line();
        let report: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?} {:?}", process.log()));
        assert_eq!(report["connected"], true, "{report}");
        let id = report["peer_id"].as_str().expect("its id").to_owned();
        Self { _process: process, id }
    }
}

/// A process finds a peer by its id.
fn find(peer: &str, uri: &str, patience: &str) -> Ended {
    crate::harness::program::probe(&["--peer", peer, "--json", "--timeout", patience, uri])
}
