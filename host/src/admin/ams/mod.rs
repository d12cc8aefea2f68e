//! The Administration API of Adobe's servers: `GET /admin/<method>?auser=NAME&apswd=PASSWORD&...`, answered in XML.
//!
//! [`METHODS`] is the table of what is answered. What Adobe's servers have beyond it is answered as an unknown method is.

mod actions;
mod configuration;
mod instances;
mod server;
#[cfg(test)]
mod tests;
mod xml;

use std::sync::Arc;
use std::time::SystemTime;

use introd_config::Config;
use introd_flash::uri::DEFAULT_NAME;

use super::caller::Caller;
use super::gate::{Denied, Gate, Wish};
use super::inspector::Inspector;
use super::query::Query;
use crate::apps::AppInstance;
use xml::{Data, Failure, answer};

/// What is asked for cannot be done: a parameter is missing, or there is no such thing.
const COMMAND_FAILED: &str = "NetConnection.Admin.CommandFailed";
/// There is no such method.
const CALL_FAILED: &str = "NetConnection.Call.Failed";
/// The login has failed.
const REJECTED: &str = "NetConnection.Connect.Rejected";

/// The methods that are answered, and what each takes.
pub(super) const METHODS: [(&str, Wish); 32] = [
    ("ping", Wish::Read),
    ("getServerStats", Wish::Read),
    ("getIOStats", Wish::Read),
    ("getAdaptors", Wish::Read),
    ("getVHosts", Wish::Read),
    ("getActiveVHosts", Wish::Read),
    ("getVHostStats", Wish::Read),
    ("getApps", Wish::Read),
    ("getAppStats", Wish::Read),
    ("getActiveInstances", Wish::Read),
    ("getInstanceStats", Wish::Read),
    ("getScriptStats", Wish::Read),
    ("getUsers", Wish::Read),
    ("getUserStats", Wish::Read),
    ("getLiveStreams", Wish::Read),
    ("getLiveStreamStats", Wish::Read),
    ("getNetStreams", Wish::Read),
    ("getNetStreamStats", Wish::Read),
    ("getRecordedStreamStats", Wish::Read),
    ("getEdgeConnections", Wish::Read),
    ("getSharedObjects", Wish::Read),
    ("getAdmins", Wish::Read),
    ("getAdminContext", Wish::Read),
    ("getConfig2", Wish::Read),
    ("startVHost", Wish::Act),
    ("restartVHost", Wish::Act),
    ("reloadApp", Wish::Act),
    ("unloadApp", Wish::Act),
    ("disconnectUser", Wish::Act),
    ("broadcastMsg", Wish::Act),
    ("gc", Wish::Act),
    ("setLogLevel", Wish::Act),
];

/// A call of a method by somebody who may call it.
struct Call<'a> {
    inspector: &'a Inspector,
    config: &'a Config,
    query: &'a Query,
    /// The name of the administrator; empty without a login.
    user: &'a str,
}

type Answer = Result<Option<Data>, Failure>;

/// Answers a call. The answer is XML, and `Err` if the request is refused for another reason than a login.
pub(super) async fn respond(
    inspector: &Inspector,
    gate: &Gate,
    caller: &Caller,
    method: &str,
    query: &Query,
) -> Result<String, Denied> {
    let config = inspector.services.applications.config();
    let known = METHODS.iter().find(|(name, _)| name.eq_ignore_ascii_case(method));
    let wish = known.map_or(Wish::Read, |(_, wish)| *wish);
    let result = match gate.admit(&config, caller, wish).await {
        Ok(()) => match known {
            Some((name, _)) => permitted(inspector, &config, caller, name, query).await,
            None => Err(unknown(method)),
        },
        Err(denied) => Err(refused(denied)?),
    };
    Ok(answer(SystemTime::now(), result))
}

/// The answer to a request that lacks the right login. Other refusals stay what they are.
fn refused(denied: Denied) -> Result<Failure, Denied> {
    match denied {
        Denied::LoginFailed(_) | Denied::LockedOut(..) | Denied::LoginNeeded | Denied::NotExplicit => {
            Ok(Failure { code: REJECTED, description: denied.to_string() })
        }
        Denied::NoPasswords => Ok(Failure { code: REJECTED, description: denied.to_string() }),
        Denied::Address | Denied::CrossSite | Denied::Host | Denied::Elsewhere => Err(denied),
    }
}

fn unknown(method: &str) -> Failure {
    let method = introd_log::text::shown(method).into_owned();
    Failure { code: CALL_FAILED, description: format!("Method not found ({method}).") }
}

async fn permitted(
    inspector: &Inspector,
    config: &Arc<Config>,
    caller: &Caller,
    name: &'static str,
    query: &Query,
) -> Answer {
    let http = &config.users.http;
    if !http.enable || !http.commands.permits(name) {
        return Err(failed(format!("HTTPCommands in Users.xml does not allow {name}.")));
    }
    let user = caller.credentials.as_ref().map_or("", |credentials| credentials.user.as_str());
    let call = Call { inspector, config, query, user };
    match name {
        "ping" => Ok(None),
        "getServerStats" => Ok(Some(call.server_stats().await)),
        "getIOStats" => Ok(Some(call.io_stats().await)),
        "getAdaptors" => Ok(Some(call.adaptors())),
        "getVHosts" | "getActiveVHosts" => call.vhosts().map(Some),
        "getVHostStats" => call.vhost_stats().map(Some),
        "getAdmins" => Ok(Some(call.admins())),
        "getAdminContext" => call.admin_context().map(Some),
        "getApps" => call.apps().map(Some),
        "getAppStats" => call.app_stats().map(Some),
        "getActiveInstances" => call.active_instances().map(Some),
        "getInstanceStats" => call.instance_stats().map(Some),
        "getScriptStats" => call.script_stats().map(Some),
        "getConfig2" => call.config_value().map(Some),
        "getUsers" => call.users().map(Some),
        "getUserStats" => call.user_stats().await.map(Some),
        // This server passes on no streams and no shared objects, and has no edges: there are never any.
        "getLiveStreams" | "getNetStreams" | "getSharedObjects" | "getEdgeConnections" => {
            call.instance().map(|_| Some(Data::default()))
        }
        "getNetStreamStats" => call.net_stream_stats(),
        "getLiveStreamStats" | "getRecordedStreamStats" => call.instance().and_then(|_| Err(no_stream())),
        "startVHost" => call.vhost().map(|_| None),
        "restartVHost" => call.restart_vhost().await,
        "reloadApp" => call.reload_app(),
        "unloadApp" => call.unload_app().await,
        "disconnectUser" => call.disconnect_user().await,
        "broadcastMsg" => call.broadcast().await,
        "gc" => {
            crate::memory::return_freed_memory();
            Ok(None)
        }
        "setLogLevel" => call.set_log_level(),
        _ => Err(unknown(name)),
    }
}

fn no_stream() -> Failure {
    failed("There is no such stream.".to_owned())
}

fn failed(description: String) -> Failure {
    Failure { code: COMMAND_FAILED, description }
}

impl Call<'_> {
    /// A parameter that must be there.
    fn need(&self, names: &[&str]) -> Result<&str, Failure> {
        let value = self.query.get(names).filter(|value| !value.is_empty());
        value.ok_or_else(|| failed(format!("The parameter {} is missing.", names.first().unwrap_or(&""))))
    }

    /// The adaptor and the virtual host that a call is about: those of `vhost=adaptor/host`, else the default ones.
    fn vhost(&self) -> Result<(&str, &str), Failure> {
        let default = &self.config.default_adaptor;
        let Some(named) = self.query.get(&["vhost"]).filter(|named| !named.is_empty()) else {
            return Ok((&default.name, &default.default_vhost.name));
        };
        let (adaptor, host) = named.split_once(['/', ':']).unwrap_or((&default.name, named));
        let all = self.config.all_adaptors().flat_map(|adaptor| adaptor.all_vhosts().map(move |host| (adaptor, host)));
        let mut names = all.map(|(adaptor, host)| (adaptor.name.as_str(), host.name.as_str()));
        let found = names.find(|known| *known == (adaptor, host));
        found.ok_or_else(|| failed("There is no such virtual host.".to_owned()))
    }

    /// The instances of the virtual host that a call is about.
    fn instances(&self) -> Result<Vec<Arc<AppInstance>>, Failure> {
        let (adaptor, vhost) = self.vhost()?;
        Ok(self.inspector.instances_of(adaptor, vhost))
    }

    /// The instance that `appInst` names.
    fn instance(&self) -> Result<Arc<AppInstance>, Failure> {
        let named = self.need(&["appinst"])?;
        let (application, instance) = named.split_once('/').unwrap_or((named, DEFAULT_NAME));
        // Adobe's documents spell the default instance in more than one way.
        let instance = if instance.eq_ignore_ascii_case(DEFAULT_NAME) { DEFAULT_NAME } else { instance };
        let is_named = |known: &Arc<AppInstance>| {
            (known.name().application.as_str(), known.name().instance.as_str()) == (application, instance)
        };
        let found = self.instances()?.into_iter().find(is_named);
        found.ok_or_else(|| failed("There is no such application instance.".to_owned()))
    }
}
