//! The policy that decided about a lookup.

use std::borrow::Cow;

/// The policy that decided about a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecidingPolicy<'a> {
    /// The server: its settings, its access rules, or its built-in behaviour.
    Server,
    /// A script.
    Script,
    /// The registry that servers share.
    Registry,
    /// A native plugin, by the name of its library.
    Plugin(&'a str),
}

impl<'a> DecidingPolicy<'a> {
    /// The name in the log, in metrics and in the API.
    pub fn name(self) -> &'a str {
        match self {
            Self::Server => "the server",
            Self::Script => "script",
            Self::Registry => "registry",
            Self::Plugin(name) => name,
        }
    }

    /// The same, for those who keep it: only the name of a plugin is copied.
    pub fn text(self) -> Cow<'static, str> {
        match self {
            Self::Server => Cow::Borrowed(DecidingPolicy::Server.name()),
            Self::Script => Cow::Borrowed(DecidingPolicy::Script.name()),
            Self::Registry => Cow::Borrowed(DecidingPolicy::Registry.name()),
            Self::Plugin(name) => Cow::Owned(name.to_owned()),
        }
    }
}
