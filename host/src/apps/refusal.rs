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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_told_what_it_may_know_and_the_log_more() {
        let address = IpAddr::from([192, 0, 2, 1]);
        let closed = Refusal::Closed { application: "a".to_owned(), reason: "main.lua:3: oops".into() };
        // Each row: the refusal, what the client is told, what the log says, and whether it is for lack of room.
        for (refusal, told, logged, is_for_lack_of_room) in [
            (Refusal::Access(address), "connections from 192.0.2.1 are not allowed", None, false),
            (Refusal::NoApplication("a".to_owned()), "there is no application a", None, false),
            (
                closed,
                "the application a is not available",
                Some("the application a is not available: main.lua:3: oops"),
                false,
            ),
            (Refusal::TooManyConnections, "the server is full", None, false),
            (Refusal::TooManyInstances, "there are too many application instances", None, true),
            (
                Refusal::TooManyInstancesOf(NetworkPrefix::of(address)),
                "there are too many application instances from your address",
                Some("there are too many application instances from 192.0.2.1, and all have clients"),
                true,
            ),
            (
                Refusal::NoScriptMemory { max: 64 << 20 },
                "there is no memory for another application instance",
                Some(
                    "there is no memory for another application instance: scripts use all the memory that they may, \
                     64 MB (MaxScriptMemory)",
                ),
                true,
            ),
        ] {
            let rejection = refusal.to_rejection();
            let code = if matches!(refusal, Refusal::NoApplication(_)) { "InvalidApp" } else { "Rejected" };
            assert_eq!(rejection.code, format!("NetConnection.Connect.{code}"));
            assert!(rejection.description.contains(told) && !rejection.description.contains("oops"), "{rejection:?}");
            assert_eq!(refusal.for_log(), logged.unwrap_or(told));
            assert_eq!(refusal.is_for_lack_of_room(), is_for_lack_of_room, "{told}");
        }
    }
}
