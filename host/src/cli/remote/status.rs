//! `introd status`.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use super::administration::Remote;
use super::drain;
use super::print::{Printer, bytes, duration, list, text};

/// Prints how the server is. The status of the process is 1 if the server is not ready for clients.
pub(super) async fn status(remote: &Remote, printer: Printer) -> anyhow::Result<ExitCode> {
    let server = remote.get("server").await?;
    printer.answer(&server, told)?;
    Ok(if is_ready(&server) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn is_ready(server: &Value) -> bool {
    server["state"] == "serving" && list(&server["problems"]).is_empty()
}

fn told(server: &Value) -> String {
    let number = |name: &str| server[name].as_f64().unwrap_or_default();
    let mut out = format!("introd {}, {}\n", text(&server["version"]), text(&server["state"]));
    // Writing into a string cannot fail.
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "  {:<12}{value}", format!("{name}:"));
    };
    line("listens at", &text(&server["listening"]));
    line("up since", &format!("{} ({})", text(&server["launched"]), duration(number("uptime_seconds"))));
    line("clients", &format!("{} in {} instances", text(&server["clients"]), text(&server["instances"])));
    line("sessions", &text(&server["sessions"]));
    line("workers", &text(&server["workers"]));
    line("processor", &format!("{} %", text(&server["cpu"]["used_percent"])));
    line("memory", &bytes(number("memory_bytes")));
    line("registry", &registry(&server["registry"]));
    line("relay", &relay(&server["relay"]));
    line("log level", &text(&server["log_level"]));
    if server["drain"].is_object() {
        line("drain", &drain::told(&server["drain"]));
    }
    for problem in list(&server["problems"]) {
        line("problem", &text(problem));
    }
    for notice in list(&server["notices"]) {
        line("notice", &text(notice));
    }
    out
}

/// What the relay has and did, if there is one.
fn relay(relay: &Value) -> String {
    if relay.is_null() {
        return "none".to_owned();
    }
    let (pairs, open, refused) = (text(&relay["pairs"]), text(&relay["open"]), text(&relay["refused"]));
    let passed_on = bytes(relay["bytes"].as_f64().unwrap_or_default());
    format!("{pairs} pairs, {open} of them open; {passed_on} passed on; {refused} pairs refused")
}

/// The registry's name, if it has one, and how it is.
fn registry(registry: &Value) -> String {
    let state = text(&registry["state"]);
    let Some(name) = registry["name"].as_str() else { return state };
    let alive =
        registry["servers"].as_array().map(|all| all.iter().filter(|server| server["is_alive"] == true).count());
    match alive {
        Some(1) => format!("{name}: {state}, 1 server"),
        Some(count) => format!("{name}: {state}, {count} servers"),
        None => format!("{name}: {state}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_server_is_told_in_lines_and_one_with_problems_or_a_drain_is_not_ready() {
        let mut server = json!({
            "version": "0.1.0", "state": "serving", "listening": ["127.0.0.1:1935"], "launched": "t", "uptime_seconds": 61.0,
            "clients": 3, "instances": 2, "sessions": 4, "workers": 2, "cpu": {"used_percent": 1.5}, "memory_bytes": 2048,
            "registry": {"name": null, "state": "in memory", "lookups": 0}, "relay": null, "log_level": "info", "drain": null, "problems": [],
        });
        assert!(is_ready(&server));
        let expected = "introd 0.1.0, serving\n  listens at: 127.0.0.1:1935\n  up since:   t (1 min 1 s)\n  \
                        clients:    3 in 2 instances\n  sessions:   4\n  workers:    2\n  processor:  1.5 %\n  \
                        memory:     2.0 KiB\n  registry:   in memory\n  relay:      none\n  log level:  info\n";
        assert_eq!(told(&server), expected);
        let relayed = relay(&json!({"pairs": 3, "open": 2, "bytes": 2048, "refused": 1}));
        assert_eq!(relayed, "3 pairs, 2 of them open; 2.0 KiB passed on; 1 pairs refused");
        assert_eq!(registry(&json!({"name": "redis", "state": "up"})), "redis: up");
        let servers = json!([{"is_alive": true}, {"is_alive": false}, {"is_alive": true}]);
        assert_eq!(registry(&json!({"name": "redis", "state": "up", "servers": servers})), "redis: up, 2 servers");
        server["problems"] = json!(["worker 1 does not answer"]);
        assert!(!is_ready(&server) && told(&server).ends_with("  problem:    worker 1 does not answer\n"));
        server["problems"] = json!([]);
        (server["state"], server["drain"]) = (json!("draining"), json!({"until": null, "to": [], "left": 3}));
        assert!(!is_ready(&server) && told(&server).ends_with("the last of 3 clients is gone\n"), "{}", told(&server));
        assert!(!is_ready(&json!({})));
    }
}
