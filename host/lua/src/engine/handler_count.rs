//! How many handlers run in one turn of an instance.

use std::cell::Cell;

/// Counts the handlers of a turn, and tells the watchdog when each begins: each has its time, however many run in a row.
pub(crate) struct HandlerCount {
    /// Tells the watchdog that a handler begins.
    mark: Box<dyn Fn()>,
    count: Cell<usize>,
}

impl Default for HandlerCount {
    fn default() -> Self {
        Self::new(|| ())
    }
}

impl HandlerCount {
    /// Calls `mark` for each handler of a turn but the first, whose beginning is that of the turn.
    pub(crate) fn new(mark: impl Fn() + 'static) -> Self {
        Self { mark: Box::new(mark), count: Cell::new(0) }
    }

    /// The instance has its turn.
    pub(crate) fn begin(&self) {
        self.count.set(0);
    }

    /// A handler begins or is resumed.
    pub(crate) fn handler_begins(&self) {
        if self.count.replace(self.count.get() + 1) > 0 {
            (self.mark)();
        }
    }

    /// How many handlers have begun or been resumed in this turn.
    pub(crate) fn count(&self) -> usize {
        self.count.get()
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn each_handler_of_a_turn_but_the_first_is_told_to_the_watchdog() {
        let marks = Rc::new(Cell::new(0));
        let told = Rc::clone(&marks);
        let handlers = HandlerCount::new(move || told.set(told.get() + 1));
        for _ in 0..2 {
            handlers.begin();
            marks.set(0);
            let seen: Vec<_> = (0..4)
                .map(|_| {
                    handlers.handler_begins();
                    (handlers.count(), marks.get())
                })
                .collect();
            assert_eq!(seen, [(1, 0), (2, 1), (3, 2), (4, 3)]);
        }
    }
}
