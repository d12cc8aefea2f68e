//! `introd kick`, `introd reload` and `introd log-level`.

use std::collections::BTreeSet;

use clap::Args;
use serde_json::json;

use super::administration::Remote;
use super::clients::{peer_id_start, whole_id};
use super::http::escaped;
use super::print::{Printer, list, text};

#[derive(Args)]
pub(in crate::cli) struct KickArgs {
    /// Its peer ID; the first digits are enough.
    #[arg(value_name = "ID", value_parser = peer_id_start)]
    peer: String,
    /// Why, for the log.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct ReloadArgs {
    /// Only this application, instead of all whose scripts run.
    #[arg(value_name = "APP")]
    application: Option<String>,
    /// Only this instance of it.
    #[arg(long, value_name = "NAME", requires = "application")]
    instance: Option<String>,
}

#[derive(Args)]
pub(in crate::cli) struct LogLevelArgs {
    /// The new level: error, warn, info, debug or trace, or a filter as of RUST_LOG.
    #[arg(value_name = "LEVEL", value_parser = level)]
    level: Option<String>,
}

fn level(text: &str) -> Result<String, String> {
    introd_log::check_level(text).map(|()| text.to_owned())
}

pub(super) async fn kick(remote: &Remote, printer: Printer, args: &KickArgs) -> anyhow::Result<()> {
    let peer = whole_id(remote, &args.peer).await?;
    let body = args.reason.as_ref().map_or_else(|| json!({}), |reason| json!({ "reason": reason }));
    let answer = remote.post(&format!("clients/{peer}/disconnect"), &body).await?;
    printer.answer(&answer, |_| format!("{peer} is disconnected\n"))?;
    Ok(())
}

pub(super) async fn reload(remote: &Remote, printer: Printer, args: &ReloadArgs) -> anyhow::Result<()> {
    let applications = match &args.application {
        Some(application) => BTreeSet::from([application.clone()]),
        None => with_scripts(remote).await?,
    };
    if applications.is_empty() {
        printer.answer(&json!({"reloaded": []}), |_| "no script runs\n".to_owned())?;
    }
    let body = args.instance.as_ref().map_or_else(|| json!({}), |instance| json!({ "instance": instance }));
    for application in applications {
        let answer = remote.post(&format!("applications/{}/reload", escaped(&application)), &body).await?;
        printer.answer(&answer, |_| loading(&application))?;
    }
    Ok(())
}

/// What is known when the server has taken the order: scripts load in their own time.
fn loading(application: &str) -> String {
    format!(
        "{} loads its scripts again; if they do not load, the log of the server says why, and the old ones go on\n",
        text(&json!(application))
    )
}

/// The applications with scripts that run.
async fn with_scripts(remote: &Remote) -> anyhow::Result<BTreeSet<String>> {
    let (mut found, mut after) = (BTreeSet::new(), String::new());
    loop {
        let page = remote.get(&format!("applications?limit=1000{after}")).await?;
        for application in list(&page["applications"]) {
            let is_scripted =
                application["policy"]["has_script"] == true && !list(&application["instances"]).is_empty();
            found.extend(application["name"].as_str().filter(|_| is_scripted).map(str::to_owned));
        }
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", escaped(next)),
            None => return Ok(found),
        }
    }
}

pub(super) async fn log_level(remote: &Remote, printer: Printer, args: &LogLevelArgs) -> anyhow::Result<()> {
    let answer = match &args.level {
        Some(level) => remote.post("log-level", &json!({ "level": level })).await?,
        None => remote.get("log-level").await?,
    };
    printer.answer(&answer, |answer| format!("{}\n", text(&answer["level"])))?;
    Ok(())
}
