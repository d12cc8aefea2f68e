//! `introd peer`.

use std::fmt::Write as _;

use clap::Args;
use serde_json::Value;

use super::administration::Remote;
use super::clients::{peer_id_start, whole_id};
use super::print::{Printer, list, text};

#[derive(Args)]
pub(in crate::cli) struct PeerArgs {
    /// Its peer ID; for a client, the first digits are enough.
    #[arg(value_name = "ID", value_parser = peer_id_start)]
    peer: String,
}

pub(super) async fn peer(remote: &Remote, printer: Printer, args: &PeerArgs) -> anyhow::Result<()> {
    let peer = whole_id(remote, &args.peer).await?;
    let story = remote.get(&format!("peers/{peer}")).await?;
    printer.answer(&story, told)?;
    Ok(())
}

fn told(story: &Value) -> String {
    let mut out = format!("peer {}\n", text(&story["peer"]));
    // Writing into a string cannot fail.
    match story["client"].as_object() {
        None => out += "not connected here\n",
        Some(client) => {
            for (name, value) in client.iter().filter(|(name, _)| *name != "peer") {
                let _ = writeln!(out, "  {name}: {}", text(value));
            }
        }
    }
    let events = list(&story["events"]);
    out += if events.is_empty() { "no events are remembered\n" } else { "events, the last one at the end:\n" };
    if story["is_truncated"] == true {
        out += "  (there were earlier ones)\n";
    }
    events.iter().for_each(|event| out += &line(event));
    out
}

/// An event in a line: when, what, and what is known of it.
fn line(event: &Value) -> String {
    let mut line = format!("  {} {}", text(&event["at"]), text(&event["kind"]));
    for (name, value) in event.as_object().into_iter().flatten() {
        if !matches!(name.as_str(), "at" | "kind" | "peer") && !value.is_null() {
            let _ = write!(line, " {}={}", introd_log::text::shown(name), text(value));
        }
    }
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_story_has_what_is_known_of_the_client_and_its_events_in_lines() {
        let story = json!({
            "peer": "aa",
            "client": {"peer": "aa", "address": "192.0.2.1:5", "groups": []},
            "events": [
                {"at": "t1", "kind": "connect", "peer": "aa", "agent": "a\u{1b}gent", "instance": null},
                {"at": "t2", "kind": "lookup", "target": "bb", "verdict": "deny"},
            ],
            "is_truncated": true,
        });
        let expected = "peer aa\n  address: 192.0.2.1:5\n  groups: none\nevents, the last one at the end:\n  \
                        (there were earlier ones)\n  t1 connect agent=a\\u{1b}gent\n  t2 lookup target=bb verdict=deny\n";
        assert_eq!(told(&story), expected);
        let gone = json!({"peer": "aa", "client": null, "events": [], "is_truncated": false});
        assert_eq!(told(&gone), "peer aa\nnot connected here\nno events are remembered\n");
    }
}
