//! Allow, Deny and Order, in every file that has them: every combination says what the rule says, and the summary says the same.

use std::net::IpAddr;

use super::Folder;
use crate::{Access, Config};

/// What may stand in a list, and which of the two addresses below it names. `None` leaves the element out.
const LISTS: [(Option<&str>, [bool; 2]); 5] = [
    (None, [false, false]),
    (Some(""), [false, false]),
    (Some("192.0.2.1"), [true, false]),
    (Some("192.0.2.2, 198.51.100"), [false, true]),
    (Some("all"), [true, true]),
];
const ADDRESSES: [&str; 2] = ["192.0.2.1", "192.0.2.2"];

/// Where the three elements stand: the file, what is around them, and where they are read into.
type Place = (&'static str, [&'static str; 2], fn(&Config) -> &Access);

const PLACES: [Place; 4] = [
    ("_defaultRoot_/Adaptor.xml", ["<Adaptor>", "</Adaptor>"], |config| &config.default_adaptor.access),
    ("_defaultRoot_/_defaultVHost_/Vhost.xml", ["<VirtualHost>", "</VirtualHost>"], |config| {
        &config.default_adaptor.default_vhost.access
    }),
    ("Users.xml", ["<Root><UserList><User name='a'>", "</User></UserList></Root>"], |config| {
        &config.users.users[0].access
    }),
    ("Server.xml", ["<Root><Server><AdminServer>", "</AdminServer></Server></Root>"], |config| {
        &config.server.admin.access
    }),
];

fn element(name: &str, text: Option<&str>) -> String {
    text.map(|text| format!("<{name}>{text}</{name}>")).unwrap_or_default()
}

/// The rule, in the words of the administrators' guide: an address is refused if it is denied or not allowed; or if it is denied and not allowed.
fn may_come(order: &str, allow: Option<&str>, is_allowed: bool, is_denied: bool) -> bool {
    let is_refused = match order {
        "Allow,Deny" => is_denied || !(is_allowed || allow.is_none_or(str::is_empty)),
        _ => is_denied && !is_allowed,
    };
    !is_refused
}

fn each_combination(mut test: impl FnMut(Option<&str>, Option<&str>, Option<&str>, [bool; 2])) {
    for (allow, allowed) in LISTS {
        for (deny, denied) in LISTS {
            for order in [None, Some("Allow,Deny"), Some("Deny,Allow")] {
                let rule = order.unwrap_or("Allow,Deny");
                let expected = [0, 1].map(|index| may_come(rule, allow, allowed[index], denied[index]));
                test(allow, deny, order, expected);
            }
        }
    }
}

#[test]
fn every_combination_of_the_lists_says_what_the_rule_says() {
    for (file, [before, after], access) in PLACES {
        each_combination(|allow, deny, order, expected| {
            let rules = [element("Allow", allow), element("Deny", deny), element("Order", order)].concat();
            let loaded = Folder::new().with(file, format!("{before}{rules}{after}")).load().unwrap();
            let access = access(&loaded.config);
            let permitted = ADDRESSES.map(|address| access.permits(address.parse::<IpAddr>().unwrap()));
            assert_eq!(permitted, expected, "{file}: {rules}");
            // One that no list names.
            let is_other_in = access.permits("203.0.113.1".parse().unwrap());
            let summary = access.to_string();
            let is_anyone_in = is_other_in || permitted != [false, false];
            assert!(summary != "nobody" || !is_anyone_in, "{file}: {rules}: {summary}");
            // The lists of which that can be told without comparing their rules.
            let is_shut = deny == Some("all") && !(order == Some("Deny,Allow") && is_anyone_in);
            assert_eq!(summary == "nobody", is_shut, "{file}: {rules}: {summary}");
            assert!(summary != "everyone" || is_other_in && permitted == [true, true], "{file}: {rules}: {summary}");
            let keeps_nobody_out =
                deny.is_none_or(str::is_empty) && (allow.is_none_or(str::is_empty) || allow == Some("all"));
            assert!(summary == "everyone" || !keeps_nobody_out, "{file}: {rules}: {summary}");
            assert_eq!(summary.starts_with("everyone"), is_other_in, "{file}: {rules}: {summary}");
        });
    }
}

#[test]
fn commands_by_http_follow_the_same_rule() {
    const COMMANDS: [&str; 2] = ["getApps", "stopServer"];
    let named = |text: Option<&'static str>| match text {
        Some("192.0.2.1") => Some("getApps"),
        Some("192.0.2.2, 198.51.100") => Some("stopServer, reloadApp"),
        other => other,
    };
    for (allow, allowed) in LISTS {
        for (deny, denied) in LISTS {
            for order in [None, Some("Allow,Deny"), Some("Deny,Allow")] {
                let rules =
                    [element("Allow", named(allow)), element("Deny", named(deny)), element("Order", order)].concat();
                let text = format!("<Root><AdminServer><HTTPCommands>{rules}</HTTPCommands></AdminServer></Root>");
                let commands = Folder::new().with("Users.xml", text).load().unwrap().config.users.http.commands;
                for (index, command) in COMMANDS.iter().enumerate() {
                    let rule = order.unwrap_or("Allow,Deny");
                    let expected = may_come(rule, allow, allowed[index], denied[index]);
                    assert_eq!(commands.permits(command), expected, "{rules}: {command}");
                }
            }
        }
    }
}

#[test]
fn an_empty_list_of_the_allowed_is_told_where_it_shuts_nothing() {
    let told =
        |rules: &str| Folder::new().with("_defaultRoot_/Adaptor.xml", format!("<Adaptor>{rules}</Adaptor>")).problems();
    assert!(told("<Allow></Allow>").contains("warning: Allow is empty, which allows everyone"));
    assert_eq!(told("<Allow></Allow><Deny>all</Deny><Order>Deny,Allow</Order>"), "");
    assert_eq!(told("<Deny>192.0.2.1</Deny>"), "");
}
