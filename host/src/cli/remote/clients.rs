//! `introd clients`.

use std::net::IpAddr;

use clap::Args;
use serde_json::Value;

use super::administration::Remote;
use super::http::escaped;
use super::print::{Printer, list, table, text};

/// How many clients are asked for at a time: the most that the API gives.
const PAGE: usize = 1000;
const PEER_ID_DIGITS: usize = 64;

#[derive(Args)]
pub(in crate::cli) struct ClientsArgs {
    /// Only those of this application.
    #[arg(long, value_name = "NAME")]
    application: Option<String>,
    /// Only those of this instance.
    #[arg(long, value_name = "NAME")]
    instance: Option<String>,
    /// Only those at this IP address.
    #[arg(long, value_name = "IP")]
    address: Option<IpAddr>,
    /// Only those whose peer ID begins so.
    #[arg(long, value_name = "PREFIX", value_parser = peer_id_start)]
    peer: Option<String>,
    /// At most so many.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

pub(super) async fn clients(remote: &Remote, printer: Printer, args: &ClientsArgs) -> anyhow::Result<()> {
    let address = args.address.as_ref().map(ToString::to_string);
    let filters =
        [("application", &args.application), ("instance", &args.instance), ("address", &address), ("peer", &args.peer)];
    let filter: String =
        filters.iter().filter_map(|(name, value)| Some(format!("&{name}={}", escaped(value.as_deref()?)))).collect();
    let mut left = args.limit.unwrap_or(usize::MAX);
    let mut after = None::<String>;
    let mut is_first = true;
    while left > 0 {
        let from = after.map(|after| format!("&after={}", escaped(&after))).unwrap_or_default();
        let page = remote.get(&format!("clients?limit={}{filter}{from}", left.min(PAGE))).await?;
        printer.answer(&page, |page| rows(page, is_first))?;
        is_first = false;
        left = left.saturating_sub(list(&page["clients"]).len());
        after = page["next"].as_str().map(str::to_owned);
        if after.is_none() {
            break;
        }
    }
    Ok(())
}

fn rows(page: &Value, has_head: bool) -> String {
    let clients = list(&page["clients"]);
    if has_head && clients.is_empty() {
        return "no clients\n".to_owned();
    }
    let head = ["PEER", "ADDRESS", "CONNECTED", "APPLICATION"].map(str::to_owned).to_vec();
    let of = |client: &Value| {
        vec![text(&client["peer"]), text(&client["address"]), text(&client["connected"]), place(client)]
    };
    let rows: Vec<_> = has_head.then_some(head).into_iter().chain(clients.iter().map(of)).collect();
    table(&rows)
}

/// The application and the instance of a client.
pub(super) fn place(client: &Value) -> String {
    match &client["instance"] {
        Value::Null => text(&client["application"]),
        instance => format!("{}/{}", text(&client["application"]), text(instance)),
    }
}

/// Reads the argument for a peer: its ID, or the first digits of it, in lower case.
pub(super) fn peer_id_start(text: &str) -> Result<String, &'static str> {
    let is_hex =
        !text.is_empty() && text.len() <= PEER_ID_DIGITS && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_hex {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("a peer ID has 64 hexadecimal digits; the first ones are enough")
    }
}

/// The whole ID of the only client whose peer ID begins so, as [`peer_id_start`] gives it. One that is whole already need not be a client's.
pub(super) async fn whole_id(remote: &Remote, peer: &str) -> anyhow::Result<String> {
    if peer.len() == PEER_ID_DIGITS {
        return Ok(peer.to_owned());
    }
    let page = remote.get(&format!("clients?limit=2&peer={peer}")).await?;
    match list(&page["clients"]) {
        [] => anyhow::bail!("no client has a peer ID that begins with {peer}"),
        [client] => Ok(client["peer"].as_str().unwrap_or_default().to_owned()),
        _ => anyhow::bail!("several clients have a peer ID that begins with {peer}: give more of it"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_page_is_a_table_with_a_head_on_the_first() {
        let page = json!({"clients": [
            {"peer": "aa", "address": "192.0.2.1:5", "application": "chat", "instance": "room", "connected": "t"},
            {"peer": "bb", "address": "192.0.2.1:66", "application": "chat", "instance": null, "connected": null},
        ]});
        let expected = "aa  192.0.2.1:5   t  chat/room\nbb  192.0.2.1:66  -  chat\n";
        assert_eq!(rows(&page, false), expected);
        assert!(rows(&page, true).starts_with("PEER  ADDRESS       CONNECTED  APPLICATION\naa    192"));
        assert_eq!((rows(&json!({}), true), rows(&json!({}), false)), ("no clients\n".to_owned(), String::new()));
    }
}
