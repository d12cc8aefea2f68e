//! The flows of a session as records, and back.
//!
//! What is in the network when the record is made counts as to be sent again, without a judgement of the path: acknowledgements that
//! come later count all the same. The congestion window begins anew.

use std::sync::Arc;

use super::config::FlowConfig;
use super::flows::Flows;
use super::lingering::Lingering;
use super::recv::RecvFlow;
use super::send::SendFlow;
use crate::handover::{Clock, FlowsRecord, LingeringRecord, MAX_NUMBER, StateError};

impl Flows {
    /// There are no events left to be polled.
    pub(crate) fn record(&self, clock: Clock) -> FlowsRecord {
        let lingering = |flow: &Lingering| LingeringRecord {
            id: flow.id,
            cumulative: flow.cumulative,
            until: clock.write(flow.until),
            should_ack: flow.should_ack,
        };
        FlowsRecord {
            sending: self.sending.iter().map(|flow| flow.record(clock)).collect(),
            receiving: self.receiving.iter().map(|flow| flow.record(clock)).collect(),
            lingering: self.lingering.iter().map(lingering).collect(),
            next_id: self.next_id,
            served: self.transmitter.served,
        }
    }

    /// # Errors
    /// If the record contradicts itself.
    pub(crate) fn from_record(clock: Clock, config: Arc<FlowConfig>, record: FlowsRecord) -> Result<Self, StateError> {
        let mut flows = Self::new(config);
        for record in record.sending {
            if flows.sending.last().is_some_and(|before| before.id >= record.id) {
                return Err(StateError::Invalid("the order of sending flows"));
            }
            flows.sending.push(SendFlow::from_record(clock, record)?);
        }
        for record in record.receiving {
            if flows.receiving.last().is_some_and(|before| before.id >= record.id) {
                return Err(StateError::Invalid("the order of receiving flows"));
            }
            let flow = RecvFlow::from_record(clock, record)?;
            flows.buffered += flow.buffered();
            flows.receiving.push(flow);
        }
        let lingering = |record: LingeringRecord| Lingering {
            id: record.id,
            cumulative: record.cumulative,
            until: clock.read(record.until),
            should_ack: record.should_ack,
        };
        flows.lingering = record.lingering.into_iter().map(lingering).collect();
        let next = flows.sending.last().map_or(1, |last| last.id.saturating_add(1));
        if record.next_id < next || record.next_id > MAX_NUMBER {
            return Err(StateError::Invalid("the id of the next sending flow"));
        }
        flows.next_id = record.next_id;
        flows.transmitter.served = record.served;
        if flows.receiving.iter().any(|flow| flow.should_ack) || flows.lingering.iter().any(|flow| flow.should_ack) {
            flows.acks.demand();
        }
        Ok(flows)
    }
}
