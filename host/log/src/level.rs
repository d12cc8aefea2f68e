//! The level of the log, which may change while the program runs.

use std::sync::OnceLock;

use tracing_subscriber::{EnvFilter, Registry, reload};

/// The longest text that is taken for a level.
const MAX_LENGTH: usize = 256;

type Changer = reload::Handle<EnvFilter, Registry>;

static CHANGER: OnceLock<Changer> = OnceLock::new();

/// A filter that can be changed.
pub(super) fn changeable(filter: EnvFilter) -> (reload::Layer<EnvFilter, Registry>, Changer) {
    reload::Layer::new(filter)
}

/// Keeps what changes the filter of this process.
pub(super) fn keep(changer: Changer) {
    let _ = CHANGER.set(changer);
}

/// The level of the log of this process, in the form that [`set_level`] takes; `None` if the log was not started.
pub fn level() -> Option<String> {
    CHANGER.get()?.with_current(ToString::to_string).ok()
}

/// Changes the level of the log of this process: `debug`, or other levels for parts of the program, as in `RUST_LOG`.
///
/// # Errors
/// If that is no level, or the log was not started. The message says so.
pub fn set_level(level: &str) -> Result<(), String> {
    let changer = CHANGER.get().ok_or("the log was not started")?;
    let filter = parse(level)?;
    changer.reload(filter).map_err(|error| error.to_string())
}

/// Checks what [`set_level`] takes for a level.
///
/// # Errors
/// If that is no level. The message says so.
pub fn check_level(level: &str) -> Result<(), String> {
    parse(level).map(drop)
}

fn parse(level: &str) -> Result<EnvFilter, String> {
    let wrong =
        || "not a level: give error, warn, info, debug or trace, or parts of the program with theirs".to_owned();
    if level.trim().is_empty() || level.len() > MAX_LENGTH {
        return Err(wrong());
    }
    let filter = EnvFilter::try_new(level).map_err(|_| wrong())?;
    // A word that is no level is taken for a part of the program with all levels.
    let is_level =
        |part: &str| part.contains('=') || part.trim().parse::<tracing::level_filters::LevelFilter>().is_ok();
    if level.split(',').all(is_level) { Ok(filter) } else { Err(wrong()) }
}

#[cfg(test)]
mod tests {
    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[test]
    fn what_is_no_level_is_refused() {
        for level in ["info", "DEBUG", "off", "info,introd=debug", "introd::serve=trace"] {
            assert!(parse(level).is_ok(), "{level}");
        }
        let long = "introd=debug,".repeat(50);
        for wrong in ["", " ", "loud", "info,loud", "introd=loud", "=", &long] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_changed_filter_counts_at_once() {
        let (layer, changer) = changeable(parse("warn").unwrap());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            assert!(!tracing::enabled!(Level::INFO) && tracing::enabled!(Level::WARN));
            assert_eq!(changer.with_current(ToString::to_string).unwrap(), "warn");
            changer.reload(parse("debug").unwrap()).unwrap();
            assert!(tracing::enabled!(Level::DEBUG));
            assert_eq!(changer.with_current(ToString::to_string).unwrap(), "debug");
        });
    }
}
