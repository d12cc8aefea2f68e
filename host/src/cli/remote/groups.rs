//! `introd groups`.

use clap::Args;
use serde_json::Value;

use super::administration::Remote;
use super::clients::place;
use super::http::escaped;
use super::print::{Printer, list, table, text};

const PAGE: usize = 1000;

#[derive(Args)]
pub(in crate::cli) struct GroupsArgs {
    /// Show the members of this group, in the order of the ring, instead of all groups.
    #[arg(value_name = "DIGEST", value_parser = digest)]
    group: Option<String>,
}

fn digest(text: &str) -> Result<String, &'static str> {
    let is_digest = text.len() == 64 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
    if is_digest { Ok(text.to_ascii_lowercase()) } else { Err("the digest of a group has 64 hexadecimal digits") }
}

pub(super) async fn groups(remote: &Remote, printer: Printer, args: &GroupsArgs) -> anyhow::Result<()> {
    let path = match &args.group {
        Some(group) => format!("groups/{}", escaped(group)),
        None => "groups".to_owned(),
    };
    let mut after = String::new();
    let mut is_first = true;
    loop {
        let page = remote.get(&format!("{path}?limit={PAGE}{after}")).await?;
        printer
            .answer(&page, |page| if args.group.is_some() { members(page, is_first) } else { all(page, is_first) })?;
        is_first = false;
        match page["next"].as_str() {
            Some(next) => after = format!("&after={}", escaped(next)),
            None => return Ok(()),
        }
    }
}

fn all(page: &Value, has_head: bool) -> String {
    let groups = list(&page["groups"]);
    if has_head && groups.is_empty() {
        return "no groups\n".to_owned();
    }
    let head = ["GROUP", "MEMBERS", "SCOPE"].map(str::to_owned).to_vec();
    let of = |group: &Value| ["group", "members", "scope"].map(|name| text(&group[name])).to_vec();
    table(&has_head.then_some(head).into_iter().chain(groups.iter().map(of)).collect::<Vec<_>>())
}

fn members(page: &Value, has_head: bool) -> String {
    let members = list(&page["members"]);
    if has_head && members.is_empty() {
        return "no members\n".to_owned();
    }
    let head = ["PEER", "ADDRESS", "APPLICATION"].map(str::to_owned).to_vec();
    let of = |member: &Value| vec![text(&member["peer"]), text(&member["address"]), place(member)];
    table(&has_head.then_some(head).into_iter().chain(members.iter().map(of)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn groups_and_members_are_tables() {
        let page = json!({"groups": [{"group": "aa", "members": 12, "scope": "server"}]});
        assert_eq!(all(&page, true), "GROUP  MEMBERS  SCOPE\naa     12       server\n");
        assert_eq!(all(&page, false), "aa  12  server\n");
        let page = json!({"members": [{"peer": "bb", "address": "192.0.2.1:5", "application": "a", "instance": "b"}]});
        assert_eq!(members(&page, true), "PEER  ADDRESS      APPLICATION\nbb    192.0.2.1:5  a/b\n");
        assert_eq!([all(&json!({}), true), members(&json!({}), true)], ["no groups\n", "no members\n"]);
    }
}
