//! Why a client may not connect, in words for the client and for the log.

use std::net::IpAddr;
use std::sync::Arc;

use introd_flash::server::Rejection;
use rtmfp::NetworkPrefix;

/// Why a client may not connect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The access rules of the adaptor or of the virtual host keep its address out.
    #[error("connections from {0} are not allowed")]
    Access(IpAddr),
    /// There is no such application, and the virtual host accepts registered ones alone.
    #[error("there is no application {0}")]
    NoApplication(String),
    /// The application rejects all clients, because something in its folder is wrong. Clients are not told what.
    #[error("the application {application} is not available")]
    Closed {
        /// Its name.
        application: String,
        /// What is wrong, for the log.
        reason: Arc<str>,
    },
    /// The virtual host has as many clients as it may.
    #[error("the server is full")]
    TooManyConnections,
    /// The virtual host has as many application instances as it may.
    #[error("there are too many application instances")]
    TooManyInstances,
    /// Clients of that network have made as many instances of applications with a script as they may.
    #[error("there are too many application instances from your address")]
    TooManyInstancesOf(NetworkPrefix),
    /// The scripts of all applications together use as much memory as they may.
    #[error("there is no memory for another application instance")]
    NoScriptMemory {
        /// How many bytes that is.
        most: usize,
    },
}

impl Refusal {
    /// The status that the client gets. The codes are those of AMS.
    pub fn to_rejection(&self) -> Rejection {
        let code = match self {
            Refusal::NoApplication(_) => "NetConnection.Connect.InvalidApp",
            _ => "NetConnection.Connect.Rejected",
        };
        Rejection::new(code, format!("[ Server.Reject ] : {self}"))
    }

    /// The text for the log, with the details that clients are not told.
    pub fn for_log(&self) -> String {
        match self {
            Self::Closed { reason, .. } => format!("{self}: {reason}"),
            Self::TooManyInstancesOf(maker) => {
                format!("there are too many application instances from {maker}, and all have clients")
            }
            Self::NoScriptMemory { most } => {
                format!("{self}: scripts use all the memory that they may, {} MB (MaxScriptMemory)", most >> 20)
            }
            _ => self.to_string(),
        }
    }

    /// Whether there are too many instances, or too little memory for another.
    pub fn is_for_lack_of_room(&self) -> bool {
        matches!(self, Self::TooManyInstances | Self::TooManyInstancesOf(_) | Self::NoScriptMemory { .. })
    }
}
