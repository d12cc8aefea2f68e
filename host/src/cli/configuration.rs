//! Reading the configuration at the start and at a reload, and the messages about it.

use std::path::{Path, PathBuf};

use crate::server::{Reconfiguration, Reconfigured};
use introd_config::{Adaptor, Config, Kept, Loaded, Otherwise, Registered, UnknownHost, Vhost};
use introd_log::CONFIGURATION;
use introd_policy::InstanceName;

/// So many applications are named in the answer to a reload.
const MAX_NAMED: usize = 8;

/// Reads the configuration, and logs its problems.
pub(super) fn load(dir: Option<&Path>) -> anyhow::Result<Loaded> {
    let mut loaded =
        Config::load(dir).map_err(|problems| anyhow::anyhow!("the configuration is not in order\n{problems}"))?;
    let unknown = loaded.config.resolve_hosts();
    if let Some(host) = unknown.iter().find(|host| matters(host)) {
        // The host that it names would not be kept out.
        anyhow::bail!("the configuration is not in order\n{}", loaded.secrets.conceal(&host.to_string()));
    }
    for host in unknown {
        tracing::warn!(target: CONFIGURATION, "{}", loaded.secrets.conceal(&host.to_string()));
    }
    for warning in introd_config::grouped(&loaded.warnings) {
        tracing::warn!(target: CONFIGURATION, "{warning}");
    }
    for broken in &loaded.broken {
        for problem in introd_config::grouped(&broken.problems) {
            tracing::error!(target: CONFIGURATION, "{problem}");
        }
    }
    Ok(loaded)
}

/// Whether a host without an address is named in a Deny list that would then let it in.
pub(super) fn matters(host: &UnknownHost) -> bool {
    host.is_denied
}

/// As [`load`], when the server starts.
pub(super) fn load_at_start(dir: Option<&Path>) -> anyhow::Result<Loaded> {
    tracing::info!(target: CONFIGURATION, "{}", introd_config::origin(dir));
    let loaded = load(dir)?;
    for broken in &loaded.broken {
        tracing::error!(target: CONFIGURATION, "application {} rejects clients and lookups", broken.application);
    }
    for (application, checked) in check_scripts(&loaded.config) {
        match checked {
            Ok(notes) => {
                notes
                    .iter()
                    .for_each(|note| tracing::warn!(target: CONFIGURATION, "application {application}: {note}"));
            }
            Err(failure) => {
                tracing::error!(target: CONFIGURATION, "application {application} rejects clients until its script loads: {failure}");
            }
        }
    }
    Ok(loaded)
}

/// What there is to know of a script that loads, or why it does not load.
type Checked = Result<Vec<String>, String>;

/// Loads the scripts of all applications that have one, and gives back their names with what came of it.
pub(super) fn check_scripts(config: &Config) -> Vec<(String, Checked)> {
    let registered = config.registered();
    registered
        .filter_map(|(adaptor, vhost, name, registered)| {
            Some((name.to_owned(), check_script(adaptor, vhost, name, registered)?))
        })
        .collect()
}

fn check_script(adaptor: &Adaptor, vhost: &Vhost, name: &str, registered: &Registered) -> Option<Checked> {
    if !registered.has_script || registered.closed.is_some() {
        return None;
    }
    let instance = InstanceName::first(&adaptor.name, &vhost.name, name);
    let checked = introd_lua::check(instance, &registered.folder, &registered.settings);
    Some(checked.map_err(|failure| format!("{}: {failure}", registered.folder.display())))
}

fn why_not(adaptor: &Adaptor, vhost: &Vhost, name: &str, registered: &Registered) -> Option<String> {
    check_script(adaptor, vhost, name, registered)?.err()
}

/// SIGHUP: reads the files again and applies what they say. No client is disconnected, and what is broken changes nothing. Returns
/// the answer in a line.
pub(super) fn reload(server: &Reconfiguration, dir: Option<&Path>, files: &mut Vec<PathBuf>) -> String {
    match try_reload(server, dir, files) {
        Ok(kept) if kept.is_empty() => "introd has read its configuration anew\n".to_owned(),
        Ok(kept) => format!("introd has read its configuration anew, except: {}\n", in_a_line(&kept)),
        Err(error) => {
            tracing::error!(target: CONFIGURATION, "the old configuration stays: {error:#}");
            "introd keeps its old configuration\n".to_owned()
        }
    }
}

fn try_reload(server: &Reconfiguration, dir: Option<&Path>, files: &mut Vec<PathBuf>) -> anyhow::Result<Vec<Kept>> {
    let mut loaded = load(dir)?;
    let old = server.config();
    let mut kept = loaded.take_over(&old, files)?;
    kept.extend(loaded.config.keep_broken(Some(&old), Otherwise::Leave, why_not));
    let Reconfigured { at_next_start, kept: without_plugin } = server.reconfigure(loaded.config)?;
    kept.extend(without_plugin);
    for kept in &kept {
        tracing::error!(target: CONFIGURATION, "{kept}");
    }
    for what in at_next_start {
        tracing::warn!(target: CONFIGURATION, "at the next start only: {what}");
    }
    *files = loaded.files;
    Ok(kept)
}

/// The first of them, without anything that would end the line.
fn in_a_line(kept: &[Kept]) -> String {
    let named: Vec<String> = kept.iter().take(MAX_NAMED).map(Kept::to_string).collect();
    let more = match kept.len().saturating_sub(MAX_NAMED) {
        0 => String::new(),
        more => format!("; and {more} more"),
    };
    (named.join("; ") + &more).replace(char::is_control, " ")
}
