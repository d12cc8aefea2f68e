//! Transfers that always have more to send, for scenarios about shares.

use std::time::Duration;

use rtmfp::flow::{Delivery, FlowError, FlowOptions, SendFlowId};

use super::{NodeId, Sim};

/// How often the queues are filled up.
const PERIOD: Duration = Duration::from_millis(200);
/// The length of each message: a few packets.
const MESSAGE: usize = 8000;

/// A flow that is kept full.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bulk {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    flow: SendFlowId,
}

impl Sim {
    /// Opens a flow for a transfer, in a session that there is.
    pub(crate) fn bulk(&mut self, from: NodeId, to: NodeId, options: FlowOptions) -> Bulk {
        let session = self.session(from, to);
        let flow = self.with(from, |endpoint, now| endpoint.open_flow(now, session, b"bulk", options)).expect("a flow");
        Bulk { from, to, flow }
    }

    /// Keeps the transfers going for this time. Gives the bytes that came of each, in whole messages.
    pub(crate) fn transfer(&mut self, transfers: &[Bulk], duration: Duration) -> Vec<usize> {
        let mut came = vec![0; transfers.len()];
        let end = self.elapsed() + duration;
        while self.elapsed() < end {
            for bulk in transfers {
                let session = self.session(bulk.from, bulk.to);
                self.with(bulk.from, |endpoint, now| {
                    let mut queue = || endpoint.send(now, session, bulk.flow, vec![7; MESSAGE], Delivery::default());
                    while queue().is_ok() {}
                    assert_eq!(queue(), Err(FlowError::Full));
                });
            }
            self.run_for(PERIOD.min(end - self.elapsed()));
            for (bulk, came) in transfers.iter().zip(&mut came) {
                let session = self.session(bulk.to, bulk.from);
                let messages = &mut self.get_mut(bulk.to).messages;
                *came += messages.extract_if(.., |m| m.session == session).map(|m| m.data.len()).sum::<usize>();
            }
        }
        came
    }
}
