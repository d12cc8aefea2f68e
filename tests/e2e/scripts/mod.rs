//! Applications with scripts, in the program: what the scripts decide acts on real clients.

mod api;
mod distributed;
mod document;
mod fallbacks;
mod hostile;
mod lifetimes;
mod ports;
mod reload;
mod shipped;
mod web;

use introd_client::Client;
use introd_flash::amf::Value;
use introd_flash::client::Incoming;
use introd_tests::program::{Ended, probe};

use crate::harness::clients::call;

/// The settings of an application whose script answers all lookups.
const ALL_LOOKUPS: &str = "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>";

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

/// A process finds a peer by its id.
fn find(peer: &str, uri: &str, timeout: &str) -> Ended {
    probe(&["--peer", peer, "--json", "--timeout", timeout, uri])
}
