//! The keys of Users.xml.

use std::sync::LazyLock;

use super::common::{NO_ADMINISTRATION, ORDER, order};
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
    renamed: &[],
    everywhere: None,
    holds_passwords: true,
};

keys! {
    NAME: UserKey<Text> =
        UserKey::ams("@name", text("admin"), "The administrator's name").without_effect(NO_ADMINISTRATION);
    PASSWORD: UserKey<Text> = UserKey::ams(
        "Password",
        text(""),
        "The administrator's password. Empty: no login with this name",
    )
    .without_effect(NO_ADMINISTRATION);
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
        "How the password is written: `false` as it is, `pbkdf2-sha256` as `iterations$salt$hash` in hexadecimal digits. `true` is what Adobe's servers write; those hashes are not public, and the user cannot log in",
    )
    .without_effect(NO_ADMINISTRATION);
    ALLOW: UserKey<Hosts> =
        UserKey::ams("Allow", Hosts, "The addresses from which the administrator may log in; see the rules")
            .without_effect(NO_ADMINISTRATION);
    DENY: UserKey<Hosts> =
        UserKey::ams("Deny", Hosts, "The addresses from which the administrator may not log in")
            .without_effect(NO_ADMINISTRATION);
    USER_ORDER: UserKey<Words<Order>> = UserKey::ams("Order", order(), ORDER).without_effect(NO_ADMINISTRATION);
    HTTP_ENABLE: Key<Flag> =
        Key::ams("AdminServer/HTTPCommands/Enable", flag(true), "Whether the server takes commands by HTTP")
            .without_effect(NO_ADMINISTRATION);
    HTTP_ALLOW: Key<Names> = Key::ams(
        "AdminServer/HTTPCommands/Allow",
        Names,
        "The commands that it takes; see the rules. Where neither this nor `Deny` nor `Order` stands: `ping` alone",
    )
    .without_effect(NO_ADMINISTRATION);
    HTTP_DENY: Key<Names> = Key::ams("AdminServer/HTTPCommands/Deny", Names, "The commands that it does not take")
        .without_effect(NO_ADMINISTRATION);
    HTTP_ORDER: Key<Words<Order>> =
        Key::ams("AdminServer/HTTPCommands/Order", order(), ORDER).without_effect(NO_ADMINISTRATION);
}
