//! `introd drain`.

use std::time::Duration;

use clap::Args;
use introd_flash::uri::DEFAULT_PORT;
use serde_json::{Value, json};

use super::address::resolve;
use super::administration::Remote;
use super::print::{Printer, list, text};

#[derive(Args)]
pub(in crate::cli) struct DrainArgs {
    /// Send new clients to the server at this address, by a redirect. Repeat the option for more servers.
    #[arg(long, value_name = "ADDR[:PORT]")]
    to: Vec<String>,
    /// Stop after so many seconds, whatever clients there are.
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    deadline: Option<Duration>,
    /// Take new clients again.
    #[arg(long, conflicts_with_all = ["to", "deadline"])]
    cancel: bool,
}

/// More than no seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.filter(|time| !time.is_zero()).ok_or_else(|| "not a number of seconds above 0".to_owned())
}

pub(super) async fn drain(remote: &Remote, printer: Printer, args: &DrainArgs) -> anyhow::Result<()> {
    if args.cancel {
        let answer = remote.post("drain/cancel", &json!({})).await?;
        printer.answer(&answer, |_| "the server takes new clients\n".to_owned())?;
        return Ok(());
    }
    let mut to = Vec::new();
    for address in &args.to {
        to.extend(resolve(address, DEFAULT_PORT).await?.iter().map(ToString::to_string));
    }
    let body = match args.deadline {
        Some(deadline) => json!({ "to": to, "deadline_seconds": deadline.as_secs_f64() }),
        None => json!({ "to": to }),
    };
    let answer = remote.post("drain", &body).await?;
    printer.answer(&answer, |answer| format!("{}\n", told(&answer["drain"])))?;
    Ok(())
}

/// A drain as a sentence.
pub(super) fn told(drain: &Value) -> String {
    let to = list(&drain["to"]);
    let new = if to.is_empty() {
        "takes no new clients".to_owned()
    } else {
        format!("sends new clients to {}", text(&drain["to"]))
    };
    let until = match &drain["until"] {
        Value::Null => String::new(),
        until => format!(", or at {}", text(until)),
    };
    format!("the server {new}, and stops when the last of {} clients is gone{until}", text(&drain["left"]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_told_in_a_sentence() {
        let drain = json!({"since": "t0", "until": null, "to": [], "left": 7});
        assert_eq!(told(&drain), "the server takes no new clients, and stops when the last of 7 clients is gone");
        let drain = json!({"since": "t0", "until": "t1", "to": ["192.0.2.1:1935", "192.0.2.2:1935"], "left": 7});
        let expected = "the server sends new clients to 192.0.2.1:1935, 192.0.2.2:1935, and stops when the last of 7 \
                        clients is gone, or at t1";
        assert_eq!(told(&drain), expected);
    }

    #[test]
    fn a_deadline_is_a_number_of_seconds_above_0() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        assert!(["0", "-1", "x", "NaN", "inf", "1e300", ""].iter().all(|bad| seconds(bad).is_err()));
    }
}
