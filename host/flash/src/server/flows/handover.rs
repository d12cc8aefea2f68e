//! The flows of a connection as a record, and back.

use super::Flows;
use crate::metadata::FlowKind;
use crate::server::handover::FlowsRecord;

impl Flows {
    pub(in crate::server) fn record(&self) -> FlowsRecord {
        FlowsRecord {
            control: self.control,
            receiving: self.receiving.iter().map(|(flow, kind)| (*flow, kind.metadata())).collect(),
            control_sending: self.control_sending,
        }
    }

    /// Flows whose metadata is of no known kind are left out: their messages are reported and dropped.
    pub(in crate::server) fn from_record(record: FlowsRecord) -> Self {
        let receiving = record.receiving.iter();
        Self {
            control: record.control,
            receiving: receiving.filter_map(|(flow, metadata)| Some((*flow, FlowKind::classify(metadata)?))).collect(),
            control_sending: record.control_sending,
        }
    }
}
