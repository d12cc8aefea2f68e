//! One run of a server in the registry: its name, and the epoch that makes its entries valid. Another process that takes over goes on with
//! the same run, so that no entry becomes invalid.
//!
//! What is handed over: a byte, 1; the 8 bytes of the epoch; the name.

use crate::entry::Epoch;
use crate::settings::{Settings, SettingsError};

/// The first byte of what is handed over.
const FORMAT: u8 = 1;

/// The name of a server, and its epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerRun {
    pub(crate) name: String,
    pub(crate) epoch: Epoch,
}

impl ServerRun {
    /// A new run, with the name that the settings give, or a random one.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub(crate) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let random = || -> Result<Epoch, SettingsError> {
            let mut bytes = [0; 8];
            getrandom::fill(&mut bytes).map_err(|error| SettingsError::System(error.to_string()))?;
            Ok(Epoch(bytes))
        };
        let name = if settings.server.is_empty() { random()?.hex() } else { settings.server.clone() };
        Ok(Self { name, epoch: random()? })
    }

    /// The run that another process hands over; `None` if the settings give this server another name, or if it is not understood.
    pub(crate) fn handed_over(settings: &Settings, bytes: &[u8]) -> Option<Self> {
        let (&FORMAT, bytes) = bytes.split_first()? else { return None };
        let (epoch, name) = bytes.split_first_chunk()?;
        let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty())?;
        let is_own = settings.server.is_empty() || settings.server == name;
        is_own.then(|| Self { name: name.to_owned(), epoch: Epoch(*epoch) })
    }

    /// What another process goes on with.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        [&[FORMAT][..], &self.epoch.0, self.name.as_bytes()].concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(server: &str) -> Settings {
        Settings { server: server.to_owned(), ..Settings::default() }
    }

    #[test]
    fn a_run_goes_over_unless_the_server_has_another_name_now() {
        for name in ["", "a"] {
            let run = ServerRun::new(&named(name)).unwrap();
            assert!(!run.name.is_empty() && (name.is_empty() || run.name == name));
            let bytes = run.to_bytes();
            assert_eq!(ServerRun::handed_over(&named(name), &bytes).as_ref(), Some(&run));
            assert_eq!(
                ServerRun::handed_over(&named(""), &bytes).as_ref(),
                Some(&run),
                "it keeps the name that it has"
            );
            assert_eq!(ServerRun::handed_over(&named("b"), &bytes), None);
            let other_format = [&[2], &bytes[1..]].concat();
            for damaged in [&other_format[..], &bytes[..9], &bytes[..5], &[]] {
                assert_eq!(ServerRun::handed_over(&named(""), damaged), None, "{damaged:?}");
            }
        }
        let (one, other) = (ServerRun::new(&named("a")).unwrap(), ServerRun::new(&named("a")).unwrap());
        assert_ne!(one.epoch, other.epoch, "each run has its own epoch");
    }
}
