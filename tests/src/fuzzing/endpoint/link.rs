//! The far end of a session with the endpoint, for which the attacker has the keys.

use std::net::SocketAddr;

use rtmfp::crypto::component::Component;
use rtmfp::crypto::{Opener, Sealer, SessionKeys};
use rtmfp::flow::{RecvFlowId, SendFlowId};
use rtmfp::wire::packet;
use rtmfp::wire::{Chunk, Mode, PacketHeader};
use rtmfp::{RevealedKeys, SessionId};

/// An open session's other end.
pub(super) struct Link {
    /// What the endpoint calls the session.
    pub(super) session: SessionId,
    /// How the endpoint's application knows the session's flows.
    pub(super) receiving: Vec<RecvFlowId>,
    pub(super) sending: Vec<SendFlowId>,
    /// The mark of the packets of this end.
    pub(super) mode: Mode,
    pub(super) address: SocketAddr,
    sealer: Sealer,
    opener: Opener,
}

impl Link {
    /// `revealed` is what the endpoint says of its keys; the far end's are the same the other way round.
    pub(super) fn new(session: SessionId, revealed: &RevealedKeys, address: SocketAddr) -> Self {
        let mut keys: SessionKeys = revealed.keys.clone();
        keys.encrypt_key = revealed.keys.decrypt_key;
        keys.decrypt_key = revealed.keys.encrypt_key;
        keys.hmac_send_key = revealed.keys.hmac_receive_key;
        keys.hmac_receive_key = revealed.keys.hmac_send_key;
        let verification = &mut keys.verification;
        std::mem::swap(&mut verification.hmac_send_length, &mut verification.hmac_receive_length);
        std::mem::swap(&mut verification.sequence_send, &mut verification.sequence_receive);
        for component in [&revealed.initiator_component, &revealed.responder_component] {
            Component::parse(component).unwrap();
        }
        Self {
            session,
            receiving: Vec::new(),
            sending: Vec::new(),
            mode: if revealed.is_initiator { Mode::Responder } else { Mode::Initiator },
            address,
            sealer: Sealer::new(&keys),
            opener: Opener::new(&keys),
        }
    }

    /// A datagram of this end with this plain packet.
    pub(super) fn seal(&mut self, plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        self.sealer.begin(&mut out);
        out.extend_from_slice(plain);
        self.sealer.finish(self.session.get(), 0, &mut out);
        out
    }

    /// Opens what the endpoint sent; false if it is not of this session. Whatever it is, it must be in order.
    pub(super) fn understands(&self, datagram: &[u8]) -> bool {
        let mut copy = datagram.to_vec();
        let Ok(opened) = self.opener.verify(&mut copy) else { return false };
        let mut plain = opened.plain;
        // A checksum alone fits a packet of another session once in 65536 times.
        if !PacketHeader::take(&mut plain).is_ok_and(|header| header.mode == self.mode.opposite()) {
            return false;
        }
        let mut chunks = packet::chunks(plain);
        for raw in &mut chunks {
            let chunk = Chunk::parse(raw).unwrap();
            assert!(!matches!(chunk, Chunk::Unknown(_)), "{chunk:?}");
        }
        assert!(chunks.remainder().iter().all(|byte| *byte == 0xff), "padding");
        true
    }
}
