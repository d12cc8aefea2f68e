//! What a plugin in Rust implements.

use std::error::Error;
use std::fmt;

use crate::completion::{Later, Reply};
use crate::config::Config;
use crate::event::{AddressChange, Connect, Disconnect, Lookup};
use crate::host::Host;
use crate::values::Token;
use crate::verdict::{ConnectVerdict, LookupVerdict};

/// Why an instance could not be made. Any error turns into one by `?`, and so does a text.
pub struct CreateError(String);

impl<E: Into<Box<dyn Error>>> From<E> for CreateError {
    fn from(error: E) -> Self {
        Self(error.into().to_string())
    }
}

impl fmt::Display for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CreateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A plugin. Only [`Plugin::create`] must be there: what a plugin does not implement, it has nothing to say to.
///
/// The methods are called from several threads at the same time, which is why they take `&self` and the type must be [`Sync`].
/// They must not block: the server's network stands still for as long as one runs. What takes time is left pending, by
/// [`Later::defer`], and completed from another thread. [`Plugin::create`] and [`Drop`] may take their time.
///
/// A panic is caught and disables the instance: the server treats it as if it failed each time from then on.
pub trait Plugin: Send + Sync + Sized + 'static {
    /// What it is called: letters, digits, `-` and `_`. `env!("CARGO_PKG_NAME")` as a rule.
    const NAME: &'static str;
    /// Its version. `env!("CARGO_PKG_VERSION")` as a rule.
    const VERSION: &'static str;
    /// What it does, in a sentence.
    const DESCRIPTION: &'static str;

    /// Makes an instance: for each plugin element of the configuration that differs from others.
    ///
    /// # Errors
    /// The applications that name it turn clients away, or stay as they are, and the log says why.
    fn create(host: Host, config: &Config<'_>) -> Result<Self, CreateError>;

    /// A client wants to connect.
    fn connect(&self, _connect: &Connect<'_>, _later: Later<'_, ConnectVerdict>) -> Reply<ConnectVerdict> {
        ConnectVerdict::Accept.into()
    }

    /// A client is gone, accepted or not.
    fn disconnect(&self, _disconnect: &Disconnect<'_>) {}

    /// The addresses of a client have changed.
    fn addresses_changed(&self, _change: &AddressChange<'_>) {}

    /// Somebody looks for a peer.
    fn lookup(&self, _lookup: &Lookup<'_>, _later: Later<'_, LookupVerdict>) -> Reply<LookupVerdict> {
        LookupVerdict::Continue.into()
    }

    /// Nobody waits for a [`Completion`](crate::Completion) any more.
    fn cancel(&self, _token: Token) {}
}

/// A plugin that uses timers: `export!(MyPlugin, timer)`.
pub trait TimerPlugin: Plugin {
    /// A timer of [`Host::start_timer`] runs out. Comes on a thread for timers, which all plugins share.
    fn on_timer(&self, timer: Token, user: u64);
}
