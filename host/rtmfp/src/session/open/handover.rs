//! A session as a record, and back.

use std::sync::Arc;

use super::{FarIdentity, Nonces, Session, Unusual};
use crate::config::Config;
use crate::crypto::{Opener, PeerId, Sealer};
use crate::flow::Flows;
use crate::handover::{Clock, IdentityRecord, PhaseRecord, SessionRecord, StateError};
use crate::moment::Moment;
use crate::session::budget::Budget;
use crate::session::control::ControlChunks;
use crate::session::mobility::Mobility;
use crate::session::path_mtu::PathMtu;
use crate::session::rtt::Rtt;
use crate::session::state::{Closing, State};
use crate::token_bucket::TokenBucket;
use crate::transmit::{InterfaceId, Transmit};
use crate::wire::Mode;

impl Session {
    /// `None` for a session that is closed. `id` is its id.
    pub(crate) fn record(&self, clock: Clock, id: u32) -> Option<SessionRecord> {
        let phase = match &self.state {
            State::Open => PhaseRecord::Open,
            State::NearClose(closing) => PhaseRecord::NearClose {
                next_request: clock.write(closing.next_request),
                until: clock.write(closing.until),
            },
            State::FarCloseLinger { until } => PhaseRecord::FarCloseLinger { until: clock.write(until.instant()) },
            State::Closed => return None,
        };
        Some(SessionRecord {
            id,
            is_initiator: self.role == Mode::Initiator,
            phase,
            far_id: self.far_id,
            interface: self.transmit.interface.0,
            address: self.transmit.to,
            sealer: self.sealer.record()?,
            opener: self.opener.record()?,
            rtt: self.rtt.record(clock),
            flows: self.flows.record(clock),
            path: self.path.record(),
            control: self.control.bytes().to_vec(),
            identity: self.identity.record(),
            mobility: self.mobility.as_ref().map(|mobility| mobility.record(clock)),
            rikeying: self.rikeying.as_deref().map(|answer| answer.datagram.to_vec()),
            is_confirmed: self.is_confirmed,
            heard: clock.write(self.heard.instant()),
            pinged: clock.write_any(self.pinged.map(Moment::instant)),
            suspect_until: clock.write_any(self.suspect_until.map(Moment::instant)),
            budget: self.budget.record(),
            forwards: self.forwards.full_at(),
        })
    }

    /// `interface` is the driver's name for the interface in the record. [`Self::keep_rikeying`] is to follow if the initiator has yet to show that
    /// it got the answer to its keying.
    ///
    /// # Errors
    /// If the record contradicts itself.
    pub(crate) fn from_record(
        clock: Clock,
        config: &Config,
        interface: InterfaceId,
        record: SessionRecord,
    ) -> Result<Self, StateError> {
        let state = match record.phase {
            PhaseRecord::Open => State::Open,
            PhaseRecord::NearClose { next_request, until } => {
                let (next_request, until) = (clock.read(next_request), clock.read(until));
                State::NearClose(Box::new(Closing { next_request, until }))
            }
            PhaseRecord::FarCloseLinger { until } => State::FarCloseLinger { until: clock.read(until).into() },
        };
        Ok(Self {
            role: if record.is_initiator { Mode::Initiator } else { Mode::Responder },
            state,
            far_id: record.far_id,
            transmit: Transmit { interface, to: record.address },
            sealer: Sealer::from_record(&record.sealer)?,
            opener: Opener::from_record(&record.opener)?,
            rtt: Rtt::from_record(clock, &record.rtt),
            flows: Flows::from_record(clock, Arc::clone(&config.flow), record.flows)?,
            path: PathMtu::from_record(&record.path, config.max_datagram),
            control: ControlChunks::of(record.control),
            identity: FarIdentity::from_record(record.identity),
            mobility: record.mobility.map(|mobility| Box::new(Mobility::from_record(clock, &mobility))),
            rikeying: None,
            is_confirmed: record.is_confirmed,
            heard: clock.read(record.heard).into(),
            pinged: clock.read_any(record.pinged).map(Moment::from),
            suspect_until: clock.read_any(record.suspect_until).map(Moment::from),
            buffered: 0,
            armed: None,
            budget: Budget::from_record(&record.budget),
            forwards: TokenBucket::with_full_at(record.forwards),
            is_queued: false,
        })
    }

    /// Whether the initiator has yet to show that it got the answer to its keying.
    pub(crate) fn is_half_open(&self) -> bool {
        self.rikeying.is_some()
    }
}

impl FarIdentity {
    fn record(&self) -> IdentityRecord {
        let unusual = self.unusual.as_deref();
        IdentityRecord {
            peer_id: self.peer_id.0,
            other_hash: unusual.and_then(|unusual| unusual.other_hash),
            hostname: unusual.and_then(|unusual| unusual.hostname.as_deref().map(Into::into)),
            has_static_keys: self.has_static_keys,
            near_nonce: self.nonces().near,
            far_nonce: self.nonces().far,
        }
    }

    fn from_record(record: IdentityRecord) -> Self {
        let is_unusual = record.other_hash.is_some() || record.hostname.is_some();
        let hostname = record.hostname.map(Vec::into_boxed_slice);
        // Zeros stand for nonces that are forgotten.
        let nonces = Nonces { near: record.near_nonce, far: record.far_nonce };
        Self {
            peer_id: PeerId(record.peer_id),
            unusual: is_unusual.then(|| Box::new(Unusual { other_hash: record.other_hash, hostname })),
            has_static_keys: record.has_static_keys,
            nonces: (nonces != Nonces::default()).then(|| Box::new(nonces)),
        }
    }
}
