//! Who may connect to what.

use std::net::IpAddr;
use std::sync::Arc;

use rtmfp::NetworkPrefix;

use super::{Applications, Instance, Limits, Wanted};
use introd_flash::server::{ConnectRequest, Rejection};
use introd_policy::InstanceName;

/// A client's place in an instance: given back when dropped.
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
    /// There is no such application, and the virtual host wants them registered.
    #[error("there is no application {0}")]
    NoApplication(String),
    /// The application turns everybody away: something in its folder is wrong. Clients are not told what.
    #[error("the application {application} is not available")]
    Closed {
        /// Its name.
        application: String,
        /// What is wrong, for the log.
        reason: Arc<str>,
    },
    /// The virtual host has all the clients that it may.
    #[error("the server is full")]
    TooManyConnections,
    /// The virtual host has all the application instances that it may.
    #[error("there are too many application instances")]
    TooManyInstances,
    /// Clients of that address have made all the instances of applications with a script that they may.
    #[error("there are too many application instances from your address")]
    TooManyInstancesOf(NetworkPrefix),
    /// The scripts of all applications use all the memory that they may.
    #[error("there is no memory for another application instance")]
    NoScriptMemory {
        /// So many bytes.
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

    /// What the log says: with what clients are not told.
    pub fn for_log(&self) -> String {
        match self {
            Self::Closed { reason, .. } => format!("{self}: {reason}"),
            Self::TooManyInstancesOf(maker) => {
                format!("there are too many application instances from {maker}, and all have clients")
            }
            Self::NoScriptMemory { most } => {
                format!("{self}: scripts use all that they may, {} MB (MaxScriptMemory)", most >> 20)
            }
            _ => self.to_string(),
        }
    }

    /// Whether it is for the number of instances, or for what they use.
    pub fn is_for_lack_of_room(&self) -> bool {
        matches!(self, Self::TooManyInstances | Self::TooManyInstancesOf(_) | Self::NoScriptMemory { .. })
    }
}

impl Applications {
    /// Lets a client in that came through the adaptor at that place in the configuration from that address, or says why not.
    ///
    /// # Errors
    /// What keeps it out.
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
