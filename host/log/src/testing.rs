//! For tests: what is logged while some work runs.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Once};

use parking_lot::Mutex;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// Keeps lines.
struct Kept(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a text does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

impl<S: Subscriber> Layer<S> for Kept {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.0.lock().push(line.0);
    }
}

/// What the work logs on this thread up to a level, a line each: the level, the message, and the fields in their order.
pub fn logged(level: Level, work: impl FnOnce()) -> Vec<String> {
    // `tracing` remembers of each place in the code that nobody listens. If another thread gets there first while nobody does, that may
    // outlast the beginning of this: so somebody always listens.
    static LISTENER: Once = Once::new();
    LISTENER.call_once(|| drop(tracing::subscriber::set_global_default(tracing_subscriber::registry())));
    let lines = Arc::default();
    // The filter stands before all, as the log's own does: behind a filter of a layer, `tracing::enabled!` may say yes to what it drops.
    let listening = tracing_subscriber::registry().with(Kept(Arc::clone(&lines))).with(LevelFilter::from_level(level));
    tracing::subscriber::with_default(listening, work);
    std::mem::take(&mut *lines.lock())
}
