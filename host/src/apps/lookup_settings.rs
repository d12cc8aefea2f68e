//! The settings of an application that each lookup reads, where reading them costs no more than a read of memory.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use introd_config::{Application, LookupMode};

/// Stands for no limit.
const UNLIMITED: u64 = u64::MAX;

const MODES: [LookupMode; 4] = [LookupMode::None, LookupMode::Partial, LookupMode::All, LookupMode::Denied];

/// A copy of those settings of an instance. Two settings that change at once may be read before and after the change.
pub(super) struct LookupSettings {
    /// The place in [`MODES`].
    mode: AtomicU8,
    max_rate: AtomicU64,
}

impl LookupSettings {
    pub(super) fn new(settings: &Application) -> Self {
        let copy = Self { mode: AtomicU8::new(0), max_rate: AtomicU64::new(UNLIMITED) };
        copy.set(settings);
        copy
    }

    pub(super) fn set(&self, settings: &Application) {
        let mode = (0..).zip(MODES).find(|(_, mode)| *mode == settings.peer_lookup_events);
        // A mode that is not in the list is the one that answers nothing.
        self.mode.store(mode.map_or(u8::MAX, |(place, _)| place), Ordering::Release);
        self.max_rate.store(settings.max_lookup_rate.unwrap_or(UNLIMITED), Ordering::Release);
    }

    /// Which lookups go to the script.
    pub(super) fn mode(&self) -> LookupMode {
        MODES.get(usize::from(self.mode.load(Ordering::Acquire))).copied().unwrap_or(LookupMode::Denied)
    }

    /// How many lookups each client may make in a second.
    pub(super) fn max_rate(&self) -> Option<u64> {
        Some(self.max_rate.load(Ordering::Acquire)).filter(|rate| *rate != UNLIMITED)
    }
}

#[cfg(test)]
mod tests {
    use introd_config::Config;

    use super::*;

    #[test]
    fn the_copy_says_what_the_settings_say() {
        let mut settings = (*Config::built_in().default_adaptor.default_vhost.defaults).clone();
        let copy = LookupSettings::new(&settings);
        assert_eq!((copy.mode(), copy.max_rate()), (settings.peer_lookup_events, settings.max_lookup_rate));
        for mode in MODES {
            for max_lookup_rate in [None, Some(0), Some(7)] {
                (settings.peer_lookup_events, settings.max_lookup_rate) = (mode, max_lookup_rate);
                copy.set(&settings);
                assert_eq!((copy.mode(), copy.max_rate()), (mode, max_lookup_rate));
            }
        }
    }
}
