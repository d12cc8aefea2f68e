//! Why a client may not connect, in words for the client and for the log.

use std::net::IpAddr;
use std::sync::Arc;

use introd_flash::server::Rejection;
use rtmfp::NetworkPrefix;

/// Why a client may not connect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The access rules of the adaptor or of the virtual host deny the client's address.
    #[error("connections from {0} are not allowed")]
    Access(IpAddr),
    /// There is no such application, and the virtual host accepts registered applications only.
    #[error("there is no application {0}")]
    NoApplication(String),
    /// The application rejects all clients, because something in its folder is wrong. Clients are not told what.
    #[error("the application {application} is not available")]
    Closed {
        /// The application's name.
        application: String,
        /// The reason, for the log.
        reason: Arc<str>,
    },
    /// The virtual host has its maximum number of clients.
    #[error("the server is full")]
    TooManyConnections,
    /// The virtual host has its maximum number of application instances.
    #[error("there are too many application instances")]
    TooManyInstances,
    /// Clients of that network have created the maximum number of instances of applications with a script.
    #[error("there are too many application instances from your address")]
    TooManyInstancesOf(NetworkPrefix),
    /// The scripts of all applications together use the maximum memory.
    #[error("there is no memory for another application instance")]
    NoScriptMemory {
        /// The maximum in bytes.
        max: usize,
    },
}

impl Refusal {
    /// The status that the client gets, with a code of AMS.
    pub fn to_rejection(&self) -> Rejection {
        match self {
            Self::NoApplication(_) => {
                Rejection::new("NetConnection.Connect.InvalidApp", Rejection::description_of(self))
            }
            _ => Rejection::rejected(self),
        }
    }

    /// The text for the log, with the details that clients are not told.
    pub fn for_log(&self) -> String {
        match self {
            Self::Closed { reason, .. } => format!("{self}: {reason}"),
            Self::TooManyInstancesOf(maker) => {
                format!("there are too many application instances from {maker}, and all have clients")
            }
            Self::NoScriptMemory { max } => {
                format!("{self}: scripts use all the memory that they may, {} MB (MaxScriptMemory)", max >> 20)
            }
            _ => self.to_string(),
        }
    }

    /// Whether there are too many instances, or too little memory for another.
    pub fn is_for_lack_of_room(&self) -> bool {
        matches!(self, Self::TooManyInstances | Self::TooManyInstancesOf(_) | Self::NoScriptMemory { .. })
    }
}
