//! Admitting clients to application instances.

use std::net::IpAddr;
use std::sync::Arc;

use rtmfp::NetworkPrefix;

use super::applications::{Applications, vhost_of};
use super::instance::AppInstance;
use super::refusal::Refusal;
use super::wanted::{VhostLimits, Wanted};
use introd_flash::server::ConnectRequest;
use introd_policy::InstanceName;

/// A client's place in an application instance, which is given back when this is dropped.
pub struct Seat {
    applications: Arc<Applications>,
    instance: Arc<AppInstance>,
}

impl Seat {
    /// The instance that the client is in.
    pub fn instance(&self) -> &Arc<AppInstance> {
        &self.instance
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.applications.leave(&self.instance);
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
        let registered = vhost.served_by(application).map(|(_, registered)| registered);
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
            limits: VhostLimits::of(vhost),
            taken_over: None,
            maker: Some(NetworkPrefix::of(from)),
        })?;
        Ok(Seat { applications: Arc::clone(self), instance })
    }

    /// As [`Self::readmit`], for a client that the other process still serves. `None` if it is to be admitted later: its application has a
    /// policy of its own, whose instance begins with all clients that it has, or does not take it.
    pub fn readmit_early(self: &Arc<Self>, name: &InstanceName, from: IpAddr) -> Option<Seat> {
        let config = self.config();
        let has_policy = vhost_of(&config, name).served_by(&name.application).is_some();
        if has_policy { None } else { self.readmit(name.clone(), from).ok() }
    }

    /// Admits a client that another process has accepted to its instance, and that comes from that address: it stays a client whatever
    /// limits are reached.
    ///
    /// # Errors
    /// If there is no such application any more, or it is closed.
    pub fn readmit(self: &Arc<Self>, name: InstanceName, from: IpAddr) -> Result<Seat, Refusal> {
        let config = self.config();
        let vhost = vhost_of(&config, &name);
        let application = &name.application;
        if !vhost.accepts(application) {
            return Err(Refusal::NoApplication(application.clone()));
        }
        let registered = vhost.served_by(application).map(|(_, registered)| registered);
        if let Some(reason) = registered.and_then(|registered| registered.closed.clone()) {
            return Err(Refusal::Closed { application: application.clone(), reason });
        }
        let instance = self.enter(Wanted {
            settings: Arc::clone(vhost.application(application)),
            registered,
            limits: VhostLimits::NONE,
            taken_over: None,
            maker: Some(NetworkPrefix::of(from)),
            name,
        })?;
        Ok(Seat { applications: Arc::clone(self), instance })
    }
}
