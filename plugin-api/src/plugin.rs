//! The traits that a plugin in Rust implements.

use std::error::Error;
use std::fmt;

use crate::completion::{Later, Reply};
use crate::config::Config;
use crate::event::{AddressChange, Connect, Disconnect, Lookup};
use crate::host::Host;
use crate::values::Token;
use crate::verdict::{ConnectVerdict, LookupVerdict};

/// Why a plugin could not create an instance. Any error turns into one by `?`, and so does a text.
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

/// A plugin. Only [`Plugin::create`] is required. Where a plugin does not implement a callback, it leaves the decision to others.
///
/// The host calls the methods from several threads at the same time, which is why they take `&self` and the type must be [`Sync`].
/// They must not block: while a callback runs on a worker thread, the clients of that worker wait. To do something that takes time,
/// leave the verdict pending by [`Later::defer`], and complete it from another thread. [`Plugin::create`] and [`Drop`] may block: they
/// run on a thread that serves no clients.
///
/// A panic is caught and disables the instance: from then on, the server treats each call as a failure.
pub trait Plugin: Send + Sync + Sized + 'static {
    /// The plugin's name in the log and in metrics: letters, digits, `-` and `_`. Usually `env!("CARGO_PKG_NAME")`.
    const NAME: &'static str;
    /// The plugin's version. Usually `env!("CARGO_PKG_VERSION")`.
    const VERSION: &'static str;
    /// What the plugin does, in a sentence.
    const DESCRIPTION: &'static str;

    /// Creates an instance. The host creates one for each distinct `<Plugin>` element of the configuration.
    ///
    /// # Errors
    /// The log says why. At the start of the server, the applications that name the plugin reject all clients and lookups; at a
    /// reload, they keep their old configuration.
    fn create(host: Host, config: &Config<'_>) -> Result<Self, CreateError>;

    /// Decides whether a client may connect.
    fn connect(&self, _connect: &Connect<'_>, _later: Later<'_, ConnectVerdict>) -> Reply<ConnectVerdict> {
        ConnectVerdict::Accept.into()
    }

    /// Tells the plugin that a client has disconnected, or was rejected. It is the last call about that client.
    fn disconnect(&self, _disconnect: &Disconnect<'_>) {}

    /// Tells the plugin that the addresses of an accepted client have changed.
    fn addresses_changed(&self, _change: &AddressChange<'_>) {}

    /// Decides about a lookup.
    fn lookup(&self, _lookup: &Lookup<'_>, _later: Later<'_, LookupVerdict>) -> Reply<LookupVerdict> {
        LookupVerdict::Continue.into()
    }

    /// Tells the plugin that the verdict of a [`Completion`](crate::Completion) is no longer needed, because its deadline has passed or
    /// the asker is gone.
    fn cancel(&self, _token: Token) {}
}

/// A plugin that uses timers: `export!(MyPlugin, timer)`.
pub trait TimerPlugin: Plugin {
    /// Tells the plugin that a timer of [`Host::start_timer`] has fired. It runs on the timer thread, which all plugins share: it may
    /// take some milliseconds, while other timers wait.
    fn on_timer(&self, timer: Token, user: u64);
}
