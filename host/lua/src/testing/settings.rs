//! The settings of an application under test.

use std::path::Path;
use std::time::Duration;

use introd_config::{
    Application, ConnectDefault, Fallback, FileLimits, GroupScope, HttpSettings, IdleClients, JoinLeaveMode,
    LookupMode, LookupsFrom, NetConnectionLimits, OtherScripts, Policy, Problem, RelayCallScope, RelayLimits,
    RelayMode, Script, XmlSettings,
};
use introd_policy::InstanceName;

/// The settings of an application that has no Application.xml: the defaults of a server, except that the script is told of all lookups and
/// groups.
pub(crate) fn application() -> Application {
    Application {
        load_on_startup: false,
        max_idle_time: Duration::from_secs(1200),
        idle_clients: IdleClients { enable: false, max_idle_time: Duration::ZERO },
        script: Script {
            memory: 64 << 20,
            time: Some(Duration::from_secs(1)),
            library: Vec::new(),
            others: OtherScripts::Auto,
            connect_default: ConnectDefault::Accept,
            watch: false,
            net_connections: NetConnectionLimits::default(),
            http: HttpSettings::default(),
            files: FileLimits::default(),
            config: XmlSettings::default(),
        },
        peer_lookup_events: LookupMode::All,
        lookups_from: LookupsFrom::Anyone,
        join_leave_events: JoinLeaveMode::All,
        group_scope: GroupScope::Server,
        max_lookup_rate: None,
        relay_calls: RelayCallScope::Auto,
        max_relay_call_rate: None,
        relay_mode: RelayMode::None,
        relay_limits: RelayLimits::default(),
        plugins: Vec::new(),
        policy: Policy { deadline: Duration::from_secs(2), on_deadline: Fallback::Ignore, on_failure: Fallback::Deny },
    }
}

/// The settings of the application in a folder, by its Application.xml if there is one, and what that file is to be warned of. The tests say
/// what stands in `config`: on a server that is often secret.
///
/// # Errors
/// What is wrong in the file.
pub(super) fn of_folder(folder: &Path) -> Result<(Application, Vec<Problem>), String> {
    match Application::read_alone(&folder.join("Application.xml")) {
        Ok(None) => Ok((application(), Vec::new())),
        Ok(Some((mut settings, warnings))) => {
            settings.script.config = XmlSettings::default();
            // The script is alone on its stage.
            settings.plugins.clear();
            Ok((settings, warnings))
        }
        Err(problems) => Err(problems.to_string()),
    }
}

/// The name of an instance of the application in a folder.
pub(crate) fn instance_name(folder: &Path) -> InstanceName {
    let application = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    InstanceName {
        adaptor: "_defaultRoot_".to_owned(),
        vhost: "_defaultVHost_".to_owned(),
        application,
        instance: "_definst_".to_owned(),
    }
}
