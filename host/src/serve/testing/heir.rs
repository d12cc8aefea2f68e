//! The worker of another process, which takes the place of a worker.

use std::sync::Arc;

use introd_policy::OpenCall;

use super::world::{Setup, World};
use crate::serve::handover::{ConnectingRecord, Copied, Copies, CopyOrder, HandedOver, WorkerState};
use crate::serve::worker::handover::Prepared;

/// A worker that waits for the sessions of another.
pub(in crate::serve) struct Heir {
    world: World,
    copies: Copies,
    prepared: Prepared,
    /// The other process does not say what clients ask that wait to be connected.
    pub(in crate::serve) knows_no_connects: bool,
    /// What clients of the other process wait for, by their sessions.
    pub(in crate::serve) open_calls: Vec<(u32, OpenCall)>,
}

fn by_way_of_bytes(state: &WorkerState) -> WorkerState {
    postcard::from_bytes(&postcard::to_stdvec(state).unwrap()).unwrap()
}

impl World {
    /// Tells the worker of another process of the clients as they are now.
    pub(in crate::serve) fn copy(&mut self, heir: &mut Heir) {
        let (copied, answer) = std::sync::mpsc::channel();
        let copies = std::mem::replace(&mut heir.copies, Copies::new(self.now));
        let places = 0..self.worker.endpoint.places();
        self.worker.copy(CopyOrder { copies, places, copied });
        let Copied { copies, state, .. } = answer.recv().unwrap();
        let part = HandedOver::new(0, copies.then(), by_way_of_bytes(&state));
        heir.copies = copies;
        heir.world.worker.prepare(&mut heir.prepared, part).unwrap();
    }

    /// The worker of another process, which will take the worker's place.
    pub(in crate::serve) fn heir(&self, setup: Setup) -> Heir {
        let (world, copies) = (Self::new(setup), Copies::new(self.now));
        Heir { world, copies, prepared: Prepared::default(), knows_no_connects: false, open_calls: Vec::new() }
    }

    /// Another process takes the worker's place, by way of the bytes of its state, of which it has a part already. The far ends notice
    /// nothing by themselves.
    pub(in crate::serve) fn replaced_by(mut self, heir: Heir) -> Self {
        self.exchange();
        let (mut turn, clients, _) = self.worker.turn(self.now);
        clients.prepare_handover(&mut turn);
        self.exchange();
        let Heir { world: mut other, copies, prepared, knows_no_connects, open_calls } = heir;
        let last = self.worker.state(Some(copies), self.now);
        other.now = self.now;
        let mut last = HandedOver { state: by_way_of_bytes(&last.state), open_calls, ..last };
        if knows_no_connects {
            last.connecting.clear();
        }
        let connecting = last.connecting.iter().map(ConnectingRecord::session).collect();
        let (instances, _) = self.services.applications.hand_over();
        other.services.applications.take_over(instances, &connecting, &Arc::from([]));
        other.worker.take_over(other.now, prepared, last).unwrap();
        let disputes = other.services.directory.take_over_rivals(self.services.directory.rivals_records());
        other.worker.settle(other.now, &disputes);
        other.ends = std::mem::take(&mut self.ends);
        other.exchange();
        other
    }

    /// Another process takes the worker's place, and knows nothing in advance.
    pub(in crate::serve) fn replaced(self, setup: Setup) -> Self {
        let heir = self.heir(setup);
        self.replaced_by(heir)
    }
}
