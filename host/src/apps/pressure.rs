//! Ending idle instances when the scripts use nearly all the memory that they may have together (`MaxScriptMemory`).

use std::sync::Arc;

use super::applications::Applications;
use super::refusal::Refusal;
use super::table::{Among, Table};

/// How many instances end while the table is locked. This bounds how long threads wait that need the table.
const MAX_AT_A_TIME: usize = 64;

/// How much of their memory the scripts use.
#[derive(Clone, Copy)]
struct Pressure {
    /// Bytes in use, without those that are about to be freed; of these, at most a quarter of the limit is left out.
    used: usize,
    limit: usize,
}

impl Pressure {
    /// Whether instances without clients must end early. The last quarter of the memory is for instances with clients.
    fn is_high(self) -> bool {
        self.used > self.limit / 4 * 3
    }

    fn is_at_limit(self) -> bool {
        self.used >= self.limit
    }
}

impl Applications {
    /// Ends instances without clients early, the longest idle first, as long as the scripts use more than three
    /// quarters of the memory that they may.
    pub fn end_idle_early(&self) {
        let mut ended = 0;
        let pressure = loop {
            let mut table = self.table();
            let Some(pressure) = self.pressure(&mut table) else { return };
            match self.end_some(&mut table, pressure) {
                0 => break pressure,
                some => ended += some,
            }
        };
        if ended > 0 {
            tracing::warn!(
                used = pressure.used,
                limit = pressure.limit,
                ended,
                "scripts used more than three quarters of MaxScriptMemory: instances without clients end early"
            );
        }
    }

    /// Makes room in memory for one more script: at the limit, instances without clients end.
    pub(super) fn make_room_in_memory(&self, table: &mut Table) -> Result<(), Refusal> {
        let Some(pressure) = self.pressure(table).filter(|pressure| pressure.is_at_limit()) else { return Ok(()) };
        self.end_some(table, pressure);
        match self.pressure(table) {
            Some(now) if now.is_at_limit() => Err(Refusal::NoScriptMemory { max: now.limit }),
            _ => Ok(()),
        }
    }

    /// `None` without a limit, or without scripts.
    fn pressure(&self, table: &mut Table) -> Option<Pressure> {
        let (limit, actors) = self.config().server.max_script_memory.zip(self.actors.as_ref())?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        // Memory that the scripts' threads have yet to free is not counted against newcomers, up to a bound, as threads may be busy.
        let about_to_be_freed = table.ending_memory().min(limit / 4);
        Some(Pressure { used: actors.memory().saturating_sub(about_to_be_freed), limit })
    }

    /// Ends some instances without clients, as long as the pressure is high, and says how many.
    fn end_some(&self, table: &mut Table, mut pressure: Pressure) -> usize {
        let mut ending = Vec::new();
        for instance in table.idle(Among::All).take(MAX_AT_A_TIME) {
            if !pressure.is_high() {
                break;
            }
            pressure.used = pressure.used.saturating_sub(instance.actor().map_or(0, |actor| actor.memory()));
            ending.push(Arc::clone(instance));
        }
        for instance in &ending {
            tracing::info!(app = %instance.name(), "the instance ends: it has no clients, and scripts use nearly all the memory that they may");
            self.end(table, instance);
        }
        ending.len()
    }
}
