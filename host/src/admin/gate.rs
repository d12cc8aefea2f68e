//! Who may do what: the access rules, logins and lockouts, and the checks against other sites' pages in an administrator's browser.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use introd_config::{Config, User};
use parking_lot::Mutex;

use super::caller::{Caller, Credentials};
use super::logins::Logins;
use super::passwords::Passwords;

/// What a request wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To know whether the server is well: no more than yes or no.
    Health,
    /// To read.
    Read,
    /// To change something, by a request that any page can make a browser send.
    Act,
    /// To change something, by a request that no page of another site can make a browser send: a POST with a body in JSON. Browsers ask
    /// first whether they may send that there (CORS), and this server never says that they may.
    Post,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// The access rules of the administration deny the address.
    Address,
    /// The page of another site sends it.
    CrossSite,
    /// It is for a host that this server is not known by.
    Host,
    /// Only programs of this machine may ask, as long as nobody has a password.
    Elsewhere,
    /// Only an administrator may, and nobody has a password.
    NoPasswords,
    /// Credentials are missing.
    LoginNeeded,
    /// Acting takes `auser` and `apswd` in the query.
    NotExplicit,
    /// Wrong user or password, or the user may not log in from there.
    LoginFailed(String),
    /// Too many logins from that address have failed.
    LockedOut(String, Duration),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("The access rules of the administration deny this address."),
            Self::CrossSite => f.write_str("A page of another site may not use the administration."),
            Self::Host => f.write_str("Use the IP address of this server, localhost or the name of the machine."),
            Self::Elsewhere => f.write_str("As long as no administrator has a password, only this machine may ask."),
            Self::NoPasswords => f.write_str("Set a password in Users.xml for this: `introd passwd` makes it."),
            Self::LoginNeeded => f.write_str("Log in with the name and password of an administrator."),
            Self::NotExplicit => f.write_str("Give auser and apswd in the query for this."),
            Self::LoginFailed(user) => write!(f, "Administrator login failed for user {user}."),
            Self::LockedOut(user, left) => write!(
                f,
                "Administrator login failed for user {user}. Too many logins have failed: try again in {} seconds.",
                left.as_secs_f64().ceil()
            ),
        }
    }
}

impl Denied {
    /// The status that programs expect.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Address | Self::CrossSite | Self::Elsewhere | Self::NoPasswords | Self::NotExplicit => {
                StatusCode::FORBIDDEN
            }
            Self::Host => StatusCode::MISDIRECTED_REQUEST,
            Self::LoginNeeded | Self::LoginFailed(_) => StatusCode::UNAUTHORIZED,
            Self::LockedOut(..) => StatusCode::TOO_MANY_REQUESTS,
        }
    }

    /// Adds the headers that go with the status.
    pub(super) fn decorate(&self, headers: &mut HeaderMap) {
        match self {
            Self::LoginNeeded | Self::LoginFailed(_) => {
                let challenge = HeaderValue::from_static("Basic realm=\"introd\", charset=\"UTF-8\"");
                headers.insert(header::WWW_AUTHENTICATE, challenge);
            }
            Self::LockedOut(_, left) => {
                let seconds = (*left + Duration::from_millis(999)).as_secs();
                headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
            }
            _ => (),
        }
    }
}

/// The gate of the administration.
pub(super) struct Gate {
    logins: Mutex<Logins>,
    passwords: Passwords,
    /// The name of this machine.
    machine: Option<String>,
}

impl Gate {
    pub(super) fn new(machine: Option<String>) -> Self {
        Self { logins: Mutex::default(), passwords: Passwords::new(), machine }
    }

    /// Whether an address may connect at all.
    pub(super) fn permits(config: &Config, ip: IpAddr) -> bool {
        config.server.admin.access.permits(ip.to_canonical())
    }

    /// Whether the caller may do that.
    pub(super) async fn admit(&self, config: &Arc<Config>, caller: &Caller, wish: Wish) -> Result<(), Denied> {
        if !Self::permits(config, caller.ip) {
            return Err(Denied::Address);
        }
        // Before any login: a page must not lock the administrator out.
        if caller.is_cross_site {
            return Err(Denied::CrossSite);
        }
        match &caller.credentials {
            Some(credentials) if wish != Wish::Health => {
                if wish == Wish::Act && !credentials.are_explicit {
                    return Err(Denied::NotExplicit);
                }
                self.log_in(config, caller.ip, credentials).await
            }
            _ => self.without_login(config, caller, wish),
        }
    }

    fn without_login(&self, config: &Config, caller: &Caller, wish: Wish) -> Result<(), Denied> {
        let has_passwords = config.users.with_passwords().next().is_some();
        if !has_passwords && !caller.ip.is_loopback() {
            return Err(Denied::Elsewhere);
        }
        if !self.is_own_host(caller.host.as_deref()) {
            // A page whose site has got the address of this machine (DNS rebinding).
            return Err(Denied::Host);
        }
        match wish {
            Wish::Health => Ok(()),
            Wish::Read | Wish::Act | Wish::Post if has_passwords => Err(Denied::LoginNeeded),
            Wish::Read => Ok(()),
            Wish::Act | Wish::Post => Err(Denied::NoPasswords),
        }
    }

    /// Logins are verified one at a time: who tries many at once does not get round the limit.
    async fn log_in(&self, config: &Arc<Config>, ip: IpAddr, credentials: &Credentials) -> Result<(), Denied> {
        let name = introd_log::text::shown(&credentials.user).into_owned();
        let mut turn = self.passwords.turn().await;
        let locked_for = self.logins.lock().locked_for(Instant::now(), ip);
        if let Some(left) = locked_for {
            return Err(Denied::LockedOut(name, left));
        }
        let user = config.users.users.iter().find(|user| user.name == credentials.user);
        // A user that does not exist takes as long as one that does.
        let measured = user.or_else(|| config.users.with_passwords().next());
        let password = measured.and_then(|user| user.password.as_ref());
        let is_right = turn.verify(password, &credentials.user, &credentials.password).await;
        let may_come = |user: &User| user.password.is_some() && user.access.permits(ip);
        if is_right && user.is_some_and(may_come) {
            self.logins.lock().succeeded(ip);
            return Ok(());
        }
        let lockout = self.logins.lock().failed(Instant::now(), ip, &config.server.login_limits);
        let lockout = lockout.map(|lockout| lockout.as_secs());
        tracing::warn!(user = %name, address = %ip, lockout_seconds = lockout, "an administrator's login has failed");
        Err(Denied::LoginFailed(name))
    }

    /// Whether a host is an IP address, this machine by its name, or localhost: no site of others can have that name.
    fn is_own_host(&self, host: Option<&str>) -> bool {
        let Some(host) = host else { return false };
        let ip = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        ip.parse::<IpAddr>().is_ok()
            || host == "localhost"
            || self.machine.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(host))
    }
}

#[cfg(test)]
mod tests;
