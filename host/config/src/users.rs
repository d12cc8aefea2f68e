//! Users.xml: who may administrate.

use super::access::{Access, NameAccess};
use super::password::Password;
use super::schema::{Entry, Kind, Schema, ams};
use super::server::{NO_ADMINISTRATION, ORDER};
use super::view::View;

/// Who may administrate, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Users {
    /// The administrators of the server.
    pub users: Vec<User>,
    /// Commands by HTTP.
    pub http: HttpCommands,
}

/// An administrator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The name; never empty.
    pub name: String,
    /// The password; `None` keeps the user out.
    pub password: Option<Password>,
    /// Where the user may come from.
    pub access: Access,
}

/// Commands by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCommands {
    /// Whether there are any.
    pub enable: bool,
    /// Which ones.
    pub commands: NameAccess,
}

pub(super) static SCHEMA: Schema =
    Schema { file: "Users.xml", root: "Root", entries: ENTRIES, unsupported: &[], renamed: &[], everywhere: &[] };

const ENTRIES: &[Entry] = &[
    ams("UserList/User*@name", Kind::Text, "admin", "The administrator's name").without_effect(NO_ADMINISTRATION),
    ams("UserList/User*/Password", Kind::Text, "", "The administrator's password. Empty: no login with this name")
        .without_effect(NO_ADMINISTRATION),
    ams(
        "UserList/User*/Password@encrypt",
        Kind::Word(&["false", "true", "pbkdf2-sha256"]),
        "false",
        "How the password is written: `false` as it is, `pbkdf2-sha256` as `iterations$salt$hash` in hexadecimal digits. `true` is what Adobe's servers write; those hashes are not public, and the user cannot log in",
    )
    .without_effect(NO_ADMINISTRATION),
    ams("UserList/User*/Allow", Kind::Hosts, "", "Where the administrator may come from; see the rules")
        .without_effect(NO_ADMINISTRATION),
    ams("UserList/User*/Deny", Kind::Hosts, "", "Where not from").without_effect(NO_ADMINISTRATION),
    ams("UserList/User*/Order", ORDER, "Allow,Deny", "Which of the two has the last word; see the rules")
        .without_effect(NO_ADMINISTRATION),
    ams("AdminServer/HTTPCommands/Enable", Kind::Flag, "true", "Whether commands are taken by HTTP")
        .without_effect(NO_ADMINISTRATION),
    ams(
        "AdminServer/HTTPCommands/Allow",
        Kind::Names,
        "",
        "The commands that are; see the rules. Where neither this nor `Deny` nor `Order` stands: `ping` alone",
    )
    .without_effect(NO_ADMINISTRATION),
    ams("AdminServer/HTTPCommands/Deny", Kind::Names, "", "The commands that are not")
        .without_effect(NO_ADMINISTRATION),
    ams("AdminServer/HTTPCommands/Order", ORDER, "Allow,Deny", "Which of the two has the last word; see the rules")
        .without_effect(NO_ADMINISTRATION),
];

impl Users {
    pub(super) fn read(view: &View<'_>) -> Self {
        let mut users: Vec<User> = Vec::new();
        for view in view.each("UserList/User*") {
            let user = User::read(&view);
            if users.iter().any(|known| known.name == user.name) {
                view.problem("@name", |path| format!("{path}: there are two users {}", user.name));
            }
            users.push(user);
        }
        let http = HttpCommands {
            enable: view.flag("AdminServer/HTTPCommands/Enable"),
            commands: NameAccess::read(view, "AdminServer/HTTPCommands/"),
        };
        if users.is_empty() {
            users.push(User::read(&view.absent("UserList/User*")));
        }
        Self { users, http }
    }
}

impl User {
    fn read(view: &View<'_>) -> Self {
        Self { name: view.text("@name"), password: Password::read(view, "Password"), access: Access::read(view, "") }
    }
}
