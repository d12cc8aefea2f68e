//! The memory of the process: what many clients leave behind goes back to the system, and what many clients use is put into huge pages.
//!
//! The `unsafe` of this crate stands in this folder, because no crate wraps the functions of the C library and of the kernel. What needs them,
//! such as the Lua host, receives a hook: a library should not decide about the memory of the whole process.

mod change;
mod freed;
mod huge_pages;

use std::time::Instant;

use freed::FreedMemory;
pub(crate) use freed::{limit_free_memory, return_freed_memory};
use huge_pages::HugePages;

/// Looks after the memory of the process as clients come and go.
#[derive(Debug, Default)]
pub(crate) struct MemoryCare {
    freed: FreedMemory,
    huge_pages: HugePages,
}

impl MemoryCare {
    /// Does what is due. To be called about once a second with the number of clients.
    pub(crate) fn look(&mut self, now: Instant, clients: usize) {
        if self.freed.is_due(now, clients) {
            let begin = Instant::now();
            return_freed_memory();
            tracing::debug!(clients, took = ?begin.elapsed(), "free memory was given back to the system");
            // The kernel splits a huge page of which a part is given back.
            self.huge_pages.begin_anew();
        }
        self.huge_pages.look(clients);
    }
}
