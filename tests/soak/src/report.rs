//! What is told at the end, as text and as JSON.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::calm::SERVERS;
use crate::director::Director;
use crate::options::Settings;
use crate::plan::server_name;
use crate::stage::get_json;
use crate::violation::Violation;
use crate::world::World;

/// The newest events of a peer that are told.
const STORY: usize = 50;
/// Those of them that the text shows, without the hints to members of groups.
const SHOWN: usize = 8;

/// All that is told.
pub(crate) fn report(settings: &Settings, world: &World, director: &Director, violation: Option<&Violation>) -> Value {
    let begun = director.begun();
    let memory: Vec<Value> = director.memories().iter().map(|memory| memory.json()).collect();
    json!({
        "seed": settings.seed,
        "seconds": begun.elapsed().as_secs_f64(),
        "clients": settings.load.clients,
        "figures": world.figures.json(),
        "latest_timer_seconds": world.patience.greatest(begun).as_secs_f64(),
        "memory": memory,
        "violation": violation.map(|violation| told(violation, begun, director)),
    })
}

/// A violation, with what the servers know of the peers that it is about.
fn told(violation: &Violation, begun: Instant, director: &Director) -> Value {
    let mut stories = Vec::new();
    for peer in &violation.peers {
        for number in 0..SERVERS {
            let path = format!("/api/v1/peers/{peer}?limit={STORY}");
            let story = match get_json(director.stage().servers[number].admin, &path) {
                Ok(story) => story,
                Err(error) => json!(format!("{error:#}")),
            };
            stories.push(json!({ "peer": peer.to_string(), "server": server_name(number), "story": story }));
        }
    }
    json!({
        "invariant": violation.invariant,
        "seen": violation.seen,
        "at_seconds": violation.at.saturating_duration_since(begun).as_secs_f64(),
        "stories": stories,
    })
}

/// The same for people.
pub(crate) fn text(report: &Value) -> String {
    let mut text = String::new();
    let seconds = report["seconds"].as_f64().unwrap_or_default();
    // Writing to a string does not fail.
    let _ = writeln!(text, "seed {}, {:.0} s, {} clients", report["seed"], seconds, report["clients"]);
    if let Some(counts) = report["figures"]["counts"].as_object() {
        for (name, count) in counts {
            let _ = writeln!(text, "{count:>12}  {name}");
        }
    }
    let _ = writeln!(text, "         p50         p99         max  seconds");
    if let Some(times) = report["figures"]["seconds"].as_object() {
        for (name, time) in times {
            let at = |name: &str| time[name].as_f64().unwrap_or_default();
            let _ =
                writeln!(text, "{:>12.2}{:>12.2}{:>12.2}  {name} ({})", at("p50"), at("p99"), at("max"), time["count"]);
        }
    }
    for memory in report["memory"].as_array().into_iter().flatten() {
        let samples = memory["seconds_kib_clients"].as_array().cloned().unwrap_or_default();
        let (Some(first), Some(last)) = (samples.first(), samples.last()) else { continue };
        let shown = |sample: &Value| format!("{} KiB with {} clients at {} s", sample[1], sample[2], sample[0]);
        let judged = if memory["is_judged"] == true { "" } else { " (too short to be judged)" };
        let _ = writeln!(
            text,
            "memory of server {}, life {}: {}, then {}{judged}",
            memory["server"].as_str().unwrap_or_default(),
            memory["life"],
            shown(first),
            shown(last)
        );
    }
    let late =
        Duration::try_from_secs_f64(report["latest_timer_seconds"].as_f64().unwrap_or_default()).unwrap_or_default();
    let _ = writeln!(text, "own timers were late by {late:?} at most");
    match report["violation"].as_object() {
        None => text.push_str("no violation\n"),
        Some(violation) => {
            let field = |name: &str| violation[name].as_str().unwrap_or_default().to_owned();
            let at = violation["at_seconds"].as_f64().unwrap_or_default();
            let _ = writeln!(text, "VIOLATED after {at:.1} s: {}\n  {}", field("invariant"), field("seen"));
            for story in violation["stories"].as_array().into_iter().flatten() {
                let _ = writeln!(text, "  server {} knows of {}:", story["server"], story["peer"]);
                let events = story["story"]["events"].as_array().cloned().unwrap_or_default();
                // The JSON has all of them.
                let shown: Vec<&Value> =
                    events.iter().rev().filter(|event| event["kind"] != "hint").take(SHOWN).collect();
                for event in shown.into_iter().rev() {
                    let _ = writeln!(text, "    {event}");
                }
                if events.is_empty() {
                    let _ = writeln!(text, "    {}", story["story"]);
                }
            }
        }
    }
    text
}
