//! The records that the state of a connection is made of. The order and the types of the fields are the format.

use serde::{Deserialize, Serialize};

/// The state of a connection, for another process that goes on with it. It belongs to the state of the client's session, whose flows it
/// names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConnectionState {
    pub(in crate::server) phase: PhaseRecord,
    pub(in crate::server) is_amf3: bool,
    pub(in crate::server) flows: FlowsRecord,
    pub(in crate::server) streams: Vec<StreamRecord>,
    pub(in crate::server) last_publication: u64,
    pub(in crate::server) calls: CallsRecord,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::server) enum PhaseRecord {
    New,
    Pending { transaction: f64, object_encoding: u8 },
    Connected,
    Closed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::server) struct FlowsRecord {
    pub(in crate::server) control: Option<u64>,
    /// The client's flows, each with its metadata.
    pub(in crate::server) receiving: Vec<(u64, Vec<u8>)>,
    pub(in crate::server) control_sending: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::server) struct StreamRecord {
    pub(in crate::server) id: u32,
    /// Whether the server's flow is open; `None`: there is none yet.
    pub(in crate::server) sending: Option<bool>,
    pub(in crate::server) publishing: Option<PublishingRecord>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::server) struct PublishingRecord {
    pub(in crate::server) number: u64,
    pub(in crate::server) name: String,
    pub(in crate::server) kind: String,
    pub(in crate::server) is_allowed: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::server) struct CallsRecord {
    pub(in crate::server) last: u64,
    pub(in crate::server) waiting: Vec<u64>,
}
