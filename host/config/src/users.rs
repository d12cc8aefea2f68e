//! Users.xml: the administrators.

use super::access::Access;
use super::choices::PasswordForm;
use super::keys::users as keys;
use super::name_access::NameAccess;
use super::password::Password;
use super::view::View;

/// The administrators, and the commands that they may give by HTTP.
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
    /// The addresses from which the user may log in.
    pub access: Access,
}

/// Commands by HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCommands {
    /// Whether the server takes commands by HTTP.
    pub enable: bool,
    /// Which commands it takes.
    pub commands: NameAccess,
}

impl Users {
    /// The users who can log in.
    pub fn with_passwords(&self) -> impl Iterator<Item = &User> {
        self.users.iter().filter(|user| user.password.is_some())
    }

    pub(super) fn read(view: &View<'_, keys::UsersXml>) -> Self {
        let mut users: Vec<User> = Vec::new();
        for view in view.each::<keys::UserElement>() {
            let user = User::read(&view);
            if users.iter().any(|known| known.name == user.name) {
                view.problem(&keys::NAME, |path| format!("{path}: there are two users {}", user.name));
            }
            users.push(user);
        }
        if users.is_empty() {
            users.push(User::read(&view.absent::<keys::UserElement>()));
        }
        Self { users, http: HttpCommands::read(view) }
    }
}

impl User {
    fn read(view: &View<'_, keys::UserElement>) -> Self {
        let (allow, deny) = (view.read(&keys::ALLOW), view.read(&keys::DENY));
        Self {
            name: view.read(&keys::NAME),
            password: read_password(view),
            access: Access::new(allow, deny, view.read(&keys::USER_ORDER)),
        }
    }
}

/// `None` if there is no password, or none that can be verified.
fn read_password(view: &View<'_, keys::UserElement>) -> Option<Password> {
    let form = view.read(&keys::PASSWORD_FORM);
    let password = view.checked(&keys::PASSWORD, |text| match form {
        _ if form == PasswordForm::Foreign || is_of_adobe(&text) => Ok(None),
        PasswordForm::Pbkdf2 => Password::parse_hashed(&text).map(Some),
        _ => Ok(Some(Password::Plain(text))),
    });
    if matches!(password, Some(None)) {
        view.warning(&keys::PASSWORD, |path| {
            format!(
                "{path}: Adobe's servers have written this hash, which no other server can verify: this user cannot log in. \
                 Make a new one with `introd passwd`, and write encrypt=\"pbkdf2-sha256\""
            )
        });
    }
    password.flatten()
}

/// Whether a password has the form in which Adobe's servers write it, with or without `encrypt`: 80 hexadecimal digits.
fn is_of_adobe(text: &str) -> bool {
    text.len() == 80 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl HttpCommands {
    fn read(view: &View<'_, keys::UsersXml>) -> Self {
        let (allow, deny, order) =
            (view.read(&keys::HTTP_ALLOW), view.read(&keys::HTTP_DENY), view.read(&keys::HTTP_ORDER));
        Self { enable: view.read(&keys::HTTP_ENABLE), commands: NameAccess::new(allow, deny, order) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighty_hexadecimal_digits_are_a_hash_of_adobe() {
        let digits = "0123456789abcdefABCDEF";
        let text = |len: usize| digits.chars().cycle().take(len).collect::<String>();
        assert!(is_of_adobe(&text(80)));
        assert!(!is_of_adobe(&text(79)) && !is_of_adobe(&text(81)) && !is_of_adobe(&text(80).replace('a', "g")));
    }
}
