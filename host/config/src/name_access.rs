//! Which commands of the administration are let in: Allow, Deny and Order.

use super::choices::Order;
use super::shown::shown_value;
use super::syntax::{Described, Syntax, Wrong};

/// Names let in and kept out: the commands of the administration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameAccess {
    allow: Vec<String>,
    deny: Vec<String>,
    order: Order,
}

impl NameAccess {
    pub(super) fn new(allow: Vec<String>, deny: Vec<String>, order: Order) -> Self {
        Self { allow: order.allowed(allow, "all".to_owned()), deny, order }
    }

    /// Whether that name is let in. Case does not count.
    pub fn permits(&self, name: &str) -> bool {
        let names = |list: &[String]| list.iter().any(|known| known == "all" || known.eq_ignore_ascii_case(name));
        self.order.permits(names(&self.allow), names(&self.deny))
    }
}

/// Names separated by commas, or `all`; none by default.
pub(super) struct Names;

impl Described for Names {
    fn describe(&self) -> String {
        "names or `all`, separated by commas".into()
    }

    fn default_text(&self) -> String {
        String::new()
    }
}

impl Syntax for Names {
    type Value = Vec<String>;

    fn parse(&self, text: &str) -> Result<Vec<String>, Wrong> {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        let is_name = |name: &str| name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let parse = |name: &str| {
            let wrong = || format!("`{}` is not a command's name", shown_value(name)).into();
            is_name(name).then(|| name.to_ascii_lowercase()).ok_or_else(wrong)
        };
        names.map(parse).collect()
    }

    fn default(&self) -> Vec<String> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_by_name() {
        let names =
            |allow, deny, order| NameAccess::new(Names.parse(allow).unwrap(), Names.parse(deny).unwrap(), order);
        let shipped = names("ping", "All", Order::DenyAllow);
        assert!(shipped.permits("ping"));
        assert!(shipped.permits("Ping"));
        assert!(!shipped.permits("getServerStats"));
        assert!(names("all", "stopServer", Order::AllowDeny).permits("getApps"));
        assert!(!names("all", "stopServer", Order::AllowDeny).permits("stopServer"));
    }

    #[test]
    fn what_is_left_out_names_nothing() {
        assert!(Names.default().is_empty() && Names.default_text().is_empty());
        assert!(Names.parse("a b").is_err() && Names.parse("get_apps,, ping").is_ok());
    }
}
