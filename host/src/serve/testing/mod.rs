//! What tests of a worker and of its parts share.
//!
//! [`World`] is a worker and far ends of real sessions with it, joined by a network in memory. Time is virtual: it passes only when a
//! test lets it pass.

mod far_end;
mod plugin;
mod registry;
mod script;
mod services;
mod world;

use introd_flash::amf::Value;
use introd_flash::server::ConnectRequest;
use introd_flash::uri::{AppPath, Uri};

pub(super) use plugin::{Says, with_plugins};
pub(super) use registry::Published;
pub(super) use script::with_application;
pub(super) use services::{MAX_CALLS, RESOLVER_TIMEOUT, services, worker};
pub(super) use world::{Setup, World};

/// The request of a client that connects to that URI and says nothing about itself.
pub(super) fn request(uri: &str) -> ConnectRequest {
    let uri = Uri::parse(uri);
    ConnectRequest {
        path: AppPath::parse(&uri.path).unwrap(),
        uri,
        tc_url: String::new(),
        query: String::new(),
        agent: String::new(),
        referrer: String::new(),
        page_url: String::new(),
        object_encoding: 0,
        object: Value::Null,
        arguments: Vec::new(),
    }
}
