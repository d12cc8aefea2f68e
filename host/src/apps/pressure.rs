//! What happens when scripts use nearly all the memory that they may have together (`MaxScriptMemory`).

use std::sync::Arc;

use super::table::{Among, Table};
use super::{Applications, Refusal};

/// So many instances end while the table is locked: those who come through it wait for no more.
const AT_A_TIME: usize = 64;

/// What the scripts use of what they may.
#[derive(Clone, Copy)]
struct Pressure {
    /// Bytes in use, without what is about to be freed.
    used: usize,
    most: usize,
}

impl Pressure {
    /// Whether instances that nobody is in are to go before their time. The last quarter is for those that somebody needs.
    fn is_high(self) -> bool {
        self.used > self.most / 4 * 3
    }

    fn is_at_limit(self) -> bool {
        self.used >= self.most
    }
}

impl Applications {
    /// Ends instances without clients before their time, the longest idle first, as long as the scripts use more than three
    /// quarters of the memory that they may.
    pub fn end_idle_early(&self) {
        let Some(mut pressure) = self.pressure() else { return };
        let used = pressure.used;
        let mut ended = 0;
        while pressure.is_high() {
            match self.end_some(&mut self.table(), &mut pressure) {
                0 => break,
                some => ended += some,
            }
        }
        if ended > 0 {
            tracing::warn!(
                used,
                most = pressure.most,
                ended,
                "scripts use more than three quarters of MaxScriptMemory: instances without clients end early"
            );
        }
    }

    /// Sees that there is memory for one more script: at the limit, instances without clients end. Their memory is free once
    /// their threads have got to it, so that who comes at this moment may be refused all the same.
    pub(super) fn make_room_in_memory(&self, table: &mut Table) -> Result<(), Refusal> {
        let Some(mut pressure) = self.pressure().filter(|pressure| pressure.is_at_limit()) else { return Ok(()) };
        self.end_some(table, &mut pressure);
        match self.pressure() {
            Some(now) if now.is_at_limit() => Err(Refusal::NoScriptMemory { most: now.most }),
            _ => Ok(()),
        }
    }

    /// `None` without a limit, or without scripts.
    fn pressure(&self) -> Option<Pressure> {
        let (most, actors) = self.config.load().server.max_script_memory.zip(self.actors.as_ref())?;
        Some(Pressure { used: actors.memory(), most: usize::try_from(most).unwrap_or(usize::MAX) })
    }

    /// Ends some instances without clients, and takes off what they use. How many.
    fn end_some(&self, table: &mut Table, pressure: &mut Pressure) -> usize {
        let mut ending = Vec::new();
        for instance in table.idle(Among::All).take(AT_A_TIME) {
            if !pressure.is_high() {
                break;
            }
            pressure.used = pressure.used.saturating_sub(instance.actor().map_or(0, |actor| actor.memory()));
            ending.push(Arc::clone(instance));
        }
        for instance in &ending {
            tracing::info!(app = %instance.name(), "ends: it has no clients, and scripts use nearly all the memory that they may");
            self.end(table, instance);
        }
        ending.len()
    }
}
