//! The settings in force, by the names that configuration files have for them.

use introd_config::{Adaptor, Application, Config, GroupScope, JoinLeaveMode, Listen, LookupMode, Vhost};

use super::xml::{Data, Failure};
use super::{Call, failed};

/// Of what a setting is.
enum Level<'a> {
    Server,
    Adaptor(&'a Adaptor),
    Vhost(&'a Vhost),
    Application(&'a Application),
}

impl Call<'_> {
    /// The setting that `key` names below `scope`: elements with slashes between them and names behind colons, as
    /// `Adaptor:_defaultRoot_/VirtualHost:_defaultVHost_/AppsDir`.
    pub(super) fn config_value(&self) -> Result<Data, Failure> {
        let key = self.need(&["key"])?;
        let path = format!("{}/{key}", self.query.get(&["scope"]).unwrap_or_default());
        let (level, element) = find(self.config, &path).ok_or_else(|| failed("There is no such scope.".to_owned()))?;
        let value = value(self.config, &level, &element);
        let value = value.ok_or_else(|| failed("There is no such key, or it has no answer here.".to_owned()))?;
        let mut data = Data::default();
        data.text("value", value);
        Ok(data)
    }
}

/// The level that a path leads to, and what is left of the path, in lower case.
fn find<'a>(config: &'a Config, path: &str) -> Option<(Level<'a>, String)> {
    let adaptor = &config.default_adaptor;
    let (mut level, mut adaptor, mut vhost) = (Level::Server, adaptor, &adaptor.default_vhost);
    let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
    while let Some(part) = parts.peek() {
        let (name, which) = part.split_once(':').unwrap_or((part, ""));
        match name.to_ascii_lowercase().as_str() {
            "root" | "server" => (),
            "adaptor" => {
                if !which.is_empty() {
                    adaptor = config.all_adaptors().find(|known| known.name == which)?;
                }
                (level, vhost) = (Level::Adaptor(adaptor), &adaptor.default_vhost);
            }
            "virtualhost" => {
                if !which.is_empty() {
                    vhost = adaptor.all_vhosts().find(|known| known.name == which)?;
                }
                level = Level::Vhost(vhost);
            }
            "application" | "app" => {
                level = Level::Application(if which.is_empty() { &vhost.defaults } else { vhost.application(which) });
            }
            _ => break,
        }
        parts.next();
    }
    Some((level, parts.collect::<Vec<_>>().join("/").to_ascii_lowercase()))
}

/// The value of an element, as a file would have it.
fn value(config: &Config, level: &Level<'_>, element: &str) -> Option<String> {
    let number = |value: Option<u64>| Some(value.map_or_else(|| "-1".to_owned(), |value| value.to_string()));
    let listen = |all: &[Listen]| Some(all.iter().map(ToString::to_string).collect::<Vec<_>>().join(","));
    let server = &config.server;
    match (level, element) {
        (Level::Server, "adminserver:enable") => Some(server.admin.enable.to_string()),
        (Level::Server, "adminserver/hostport") => listen(&server.admin.listen),
        (Level::Server, "security/loginlimits/maxfailures") => number(server.login_limits.max_failures),
        (Level::Server, "security/loginlimits/recoverytime") => {
            Some(server.login_limits.recovery_time.as_secs().to_string())
        }
        (Level::Server, "security/loginlimits/lockoutlimit") => {
            Some(server.login_limits.lockout_limit.as_secs().to_string())
        }
        (Level::Adaptor(adaptor), "hostportlist/hostport") => listen(&adaptor.listen),
        (Level::Vhost(vhost), "appsdir") => {
            let dirs: Vec<String> = vhost.apps_dirs.iter().map(|dir| dir.display().to_string()).collect();
            Some(dirs.join(";"))
        }
        (Level::Vhost(vhost), "alias" | "aliaslist/alias") => Some(vhost.aliases.join(",")),
        (Level::Vhost(vhost), "resourcelimits/maxconnections") => number(vhost.max_connections),
        (Level::Vhost(vhost), "resourcelimits/maxappinstances") => number(vhost.max_app_instances),
        (Level::Application(application), "rtmfp/peerlookupevents:mode") => {
            let mode = match application.peer_lookup_events {
                LookupMode::None => "None",
                LookupMode::Partial => "Partial",
                LookupMode::All => "All",
                LookupMode::Denied => "Denied",
            };
            Some(mode.to_owned())
        }
        (Level::Application(application), "rtmfp/groupcontrol/joinleaveevents:mode") => {
            let mode = match application.join_leave_events {
                JoinLeaveMode::None => "None",
                JoinLeaveMode::All => "All",
            };
            Some(mode.to_owned())
        }
        (Level::Application(application), "rtmfp/groupcontrol/scope") => {
            let scope = match application.group_scope {
                GroupScope::Server => "server",
                GroupScope::Application => "application",
                GroupScope::Instance => "instance",
            };
            Some(scope.to_owned())
        }
        (Level::Application(application), "scriptengine/runtimesize" | "jsengine/runtimesize") => {
            Some((application.script.memory / 1024).to_string())
        }
        (Level::Application(application), "maxappidletime") => Some(application.max_idle_time.as_secs().to_string()),
        (Level::Application(application), "loadonstartup") => Some(application.load_on_startup.to_string()),
        _ => None,
    }
}
