//! Admitting clients to application instances.

use std::net::IpAddr;
use std::sync::Arc;

use rtmfp::NetworkPrefix;

use super::{Applications, Instance, Limits, Wanted};
use introd_flash::server::{ConnectRequest, Rejection};
use introd_policy::InstanceName;

/// A client's place in an application instance: given back when dropped.
pub struct Seat {
    applications: Arc<Applications>,
    instance: Arc<Instance>,
}

impl Seat {
    /// The instance that the client is in.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.instance
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.applications.leave(&self.instance);
    }
}

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

impl Applications {
    /// Admits a client that came from that address through that adaptor, given by its position in the configuration.
    ///
    /// # Errors
    /// The reason for which the client may not connect.
    pub fn admit(self: &Arc<Self>, adaptor: usize, request: &ConnectRequest, from: IpAddr) -> Result<Seat, Refusal> {
        let config = self.config();
        let adaptor = config.all_adaptors().nth(adaptor).unwrap_or(&config.default_adaptor);
        let vhost = adaptor.vhost(&request.uri.host);
        if !adaptor.access.permits(from) || !vhost.access.permits(from) {
            return Err(Refusal::Access(from));
        }
        let application = &request.path.application;
        if !vhost.accepts(application) {
            return Err(Refusal::NoApplication(application.clone()));
        }
        let registered = vhost.applications.get(application);
        if let Some(reason) = registered.and_then(|registered| registered.closed.clone()) {
            return Err(Refusal::Closed { application: application.clone(), reason });
        }
        let name = InstanceName {
            adaptor: adaptor.name.clone(),
            vhost: vhost.name.clone(),
            application: application.clone(),
            instance: request.path.instance.clone(),
        };
        let instance = self.enter(Wanted {
            name,
            settings: Arc::clone(vhost.application(application)),
            registered,
            limits: Limits::of(vhost),
            maker: Some(NetworkPrefix::of(from)),
        })?;
        Ok(Seat { applications: Arc::clone(self), instance })
    }
}
