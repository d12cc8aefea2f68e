//! What a file chooses by a word.

/// Which peers may look up the clients of an application.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupsFrom {
    /// Any peer, also one that is connected to another server, or to none.
    Anyone,
    /// Clients of this server.
    Clients,
}

/// Which clients of an application may have the server call each other by `relay`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayCallScope {
    /// The clients of the application, unless a script or a plugin decides there.
    Auto,
    /// The clients of the same application.
    Application,
    /// The clients of the same instance.
    Instance,
    /// None.
    None,
}

/// When the server relays the datagrams of two clients to each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayMode {
    /// Never, unless a policy wants it.
    None,
    /// When they have not met after the second hello.
    Fallback,
    /// From the first hello on.
    All,
}

impl RelayMode {
    /// The word in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Fallback => "Fallback",
            Self::All => "All",
        }
    }
}

/// What answers peer lookups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LookupMode {
    /// The server.
    None,
    /// The server for clients of the instance that look up peers connected to the server, the script for others.
    Partial,
    /// The script.
    All,
    /// Every lookup is denied, and counted. This is the mode of an application that rejects clients; no file can say it.
    Denied,
}

/// What handles clients that join and leave groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JoinLeaveMode {
    /// The server.
    None,
    /// The script.
    All,
}

/// Which clients meet in a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupScope {
    /// All clients of the server, and of the servers that share a registry with it.
    Server,
    /// The clients of the same application.
    Application,
    /// The clients of the same instance of the application.
    Instance,
}

/// Whether an application runs whose script this server does not: one in ActionScript, say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherScripts {
    /// It runs unless its settings leave decisions to the script.
    Auto,
    /// It runs without its script.
    Open,
    /// It rejects clients and lookups.
    Closed,
}

/// What a client gets whose `onConnect` has returned nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectDefault {
    /// It is accepted.
    Accept,
    /// It waits until the script accepts or rejects it.
    Pending,
}

/// What happens instead of a decision that failed or came too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallback {
    /// The request is denied, and counted.
    Deny,
    /// The request gets no answer.
    Ignore,
    /// The next plugin, the script or the server decides.
    Continue,
}

/// What to do with a hello that was forwarded to the server (RFC 7016 §3.5.1.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardedHello {
    /// Answer it as if it had come directly.
    RespondHello,
    /// Answer with a redirect.
    Redirect,
    /// Ignore it.
    Ignore,
}

/// Whether Allow or Deny has the last word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// An address that is denied, or not allowed, is refused. Without an Allow list all are allowed.
    AllowDeny,
    /// An address that is denied and not allowed is refused. Without an Allow list none is allowed in particular.
    DenyAllow,
}

impl Order {
    /// Whether something is let in that the lists name so.
    pub(super) fn permits(self, allowed: bool, denied: bool) -> bool {
        match self {
            Self::AllowDeny => allowed && !denied,
            Self::DenyAllow => allowed || !denied,
        }
    }

    /// The Allow list that holds where that list stands in the file, which may be left out or empty.
    pub(super) fn allowed<T>(self, list: Vec<T>, all: T) -> Vec<T> {
        if list.is_empty() && self == Self::AllowDeny { vec![all] } else { list }
    }
}

/// How a password is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasswordForm {
    /// As it is.
    Plain,
    /// As Adobe's servers write it, which is not public.
    Foreign,
    /// As [`crate::Password::Pbkdf2`].
    Pbkdf2,
}
