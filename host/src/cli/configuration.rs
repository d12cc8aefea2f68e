//! Reading the configuration at the start and at a reload, and the messages about it.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use crate::diagnostics;
use crate::server::{Reconfiguration, Reconfigured};
use introd_config::{Config, Diagnostic, Kept, Loaded, Otherwise, Problems};
use introd_log::CONFIGURATION;

/// So many applications are named in the answer to a reload.
const MAX_NAMED: usize = 8;

/// A configuration that was read, and what there is to say of its files.
pub(super) struct Read {
    pub(super) loaded: Loaded,
    pub(super) diagnostics: Vec<Diagnostic>,
    /// Why the server does not start with it all the same; this is among the diagnostics, too.
    refusal: Option<Diagnostic>,
}

/// Reads the configuration, and looks up the hosts that it names.
///
/// # Errors
/// What is wrong with the files, if the server does not start with them.
pub(super) fn read(dir: Option<&Path>, is_verbose: bool) -> Result<Read, Problems> {
    let mut loaded = Config::load(dir)?;
    let mut diagnostics = loaded.diagnostics(is_verbose);
    let mut refusal = None;
    for host in loaded.config.resolve_hosts() {
        let text = loaded.secrets.conceal(&host.to_string());
        if host.is_denied {
            // The host that the Deny list names would not be kept out.
            let error = Diagnostic::error(text);
            diagnostics.push(error.clone());
            refusal.get_or_insert(error);
        } else {
            diagnostics.push(Diagnostic::warning(text));
        }
    }
    if let Some(host) = loaded.config.server.public_ip.as_ref().filter(|host| host.addresses().is_empty()) {
        let text = format!(
            "Server.xml: PublicIP names the host {host}: until it has one, others are told the addresses that the server sees itself"
        );
        diagnostics.push(Diagnostic::warning(loaded.secrets.conceal(&text)));
    }
    Ok(Read { loaded, diagnostics, refusal })
}

/// Reads the configuration, and logs what there is to say of its files.
fn load(dir: Option<&Path>) -> anyhow::Result<Loaded> {
    let refused = |why: &dyn std::fmt::Display| anyhow::anyhow!("the configuration is not in order\n{why}");
    let Read { loaded, diagnostics, refusal } = read(dir, false).map_err(|problems| refused(&problems))?;
    if let Some(refusal) = refusal {
        return Err(refused(&refusal));
    }
    diagnostics::log(&diagnostics);
    Ok(loaded)
}

/// As [`load`], when the server starts.
pub(super) fn load_at_start(dir: Option<&Path>) -> anyhow::Result<Loaded> {
    tracing::info!(target: CONFIGURATION, "{}", introd_config::origin(dir));
    let loaded = load(dir)?;
    diagnostics::log(&loaded.closed());
    diagnostics::log(&diagnostics::of_scripts(&loaded.config));
    Ok(loaded)
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
    let notes = RefCell::default();
    kept.extend(loaded.config.keep_broken(Some(&old), Otherwise::Leave, |adaptor, vhost, name, registered| {
        diagnostics::of_script(adaptor, vhost, name, registered, &mut notes.borrow_mut()).err()
    }));
    diagnostics::log(&notes.into_inner());
    let Reconfigured { at_next_start, kept: without_plugin } = server.reconfigure(loaded.config)?;
    kept.extend(without_plugin);
    diagnostics::log(&diagnostics::of_kept(&kept));
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
