//! The keys of Users.xml.

use std::sync::LazyLock;

use super::common::{ORDER, order};
use crate::choices::{Order, PasswordForm};
use crate::key::{self, File, Repeated, Scope, keys};
use crate::name_access::Names;
use crate::rule::Hosts;
use crate::schema::Schema;
use crate::texts::{Text, text};
use crate::words::{Flag, Words, flag, words};

pub(crate) struct UsersXml;

impl Scope for UsersXml {}

impl File for UsersXml {
    fn schema() -> &'static Schema {
        &SCHEMA
    }
}

/// An element with an administrator.
pub(crate) struct UserElement;

impl Scope for UserElement {
    const PATH: &'static str = "UserList/User*";
}

impl Repeated for UserElement {
    type Parent = UsersXml;
}

type Key<X> = key::Key<UsersXml, X>;
type UserKey<X> = key::Key<UserElement, X>;

pub(crate) static SCHEMA: Schema = Schema {
    file: "Users.xml",
    root: "Root",
    entries: LazyLock::new(entries),
    unsupported: &[],
    missed: &[],
    renamed: &[],
    everywhere: None,
    holds_passwords: true,
};

keys! {
    NAME: UserKey<Text> =
        UserKey::ams("@name", text("admin"), "The administrator's name");
    PASSWORD: UserKey<Text> = UserKey::ams(
        "Password",
        text(""),
        "The administrator's password. Empty: no login with this name. `introd passwd` makes the form to write here",
    );
    PASSWORD_FORM: UserKey<Words<PasswordForm>> = UserKey::ams(
        "Password@encrypt",
        words(
            &[
                ("false", PasswordForm::Plain),
                ("true", PasswordForm::Foreign),
                ("pbkdf2-sha256", PasswordForm::Pbkdf2),
            ],
            "false",
        ),
        "How the password is written: `false` as it is, `pbkdf2-sha256` as `iterations$salt$hash` in hexadecimal digits. `true`, and 80 hexadecimal digits whatever stands here, is what Adobe's servers write: how they make those hashes is not public, and the user cannot log in",
    );
    ALLOW: UserKey<Hosts> =
        UserKey::ams("Allow", Hosts, "The addresses from which the administrator may log in; see the rules");
    DENY: UserKey<Hosts> =
        UserKey::ams("Deny", Hosts, "The addresses from which the administrator may not log in");
    USER_ORDER: UserKey<Words<Order>> = UserKey::ams("Order", order(), ORDER);
    HTTP_ENABLE: Key<Flag> =
        Key::ams("AdminServer/HTTPCommands/Enable", flag(true), "Whether the server takes commands of the Administration API by HTTP, under `/admin/`");
    HTTP_ALLOW: Key<Names> = Key::ams(
        "AdminServer/HTTPCommands/Allow",
        Names,
        "The commands that it takes; see the rules. The files that come with Adobe's servers allow `ping` alone",
    );
    HTTP_DENY: Key<Names> = Key::ams("AdminServer/HTTPCommands/Deny", Names, "The commands that it does not take");
    HTTP_ORDER: Key<Words<Order>> =
        Key::ams("AdminServer/HTTPCommands/Order", order(), ORDER);
}
