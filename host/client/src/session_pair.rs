//! Two endpoints in memory with a session between them, for tests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use rtmfp::crypto::{Certificate, Epd, Identity};
use rtmfp::{Config, Endpoint, Event, InterfaceId, SessionId};

const ONLY: InterfaceId = InterfaceId(0);

/// The near end has opened the session. Time stands still unless a test moves it.
pub(crate) struct SessionPair {
    pub(crate) now: Instant,
    pub(crate) near: Endpoint,
    pub(crate) far: Endpoint,
    /// The session as the near end knows it, and as the far end does.
    pub(crate) session: SessionId,
    pub(crate) far_session: SessionId,
}

impl SessionPair {
    pub(crate) fn new() -> Self {
        let now = Instant::now();
        let end = |number: u8| {
            // The number makes it unique, and group 2 is what it offers.
            let certificate = Certificate::parse(&[2, 0x0e, number, 2, 0x15, 2]).unwrap();
            let identity = Arc::new(Identity::from_certificate(certificate).unwrap());
            (identity.peer_id(), Endpoint::new(now, Config::peer(identity), [number; 32]))
        };
        let ((_, mut near), (id, far)) = (end(1), end(2));
        let session = near.open(now, Epd::fingerprint(id).to_vec(), &[(ONLY, address(2))]).unwrap();
        let mut pair = Self { now, near, far, session, far_session: session };
        let opened = pair.settle();
        assert!(opened[0].iter().any(|event| matches!(event, Event::Opened { .. })), "{opened:?}");
        pair.far_session = pair.far.session_ids().next().unwrap();
        pair
    }

    /// Delivers all packets, and what follows from them. Returns the events of the near end and of the far end.
    pub(crate) fn settle(&mut self) -> [Vec<Event>; 2] {
        let mut events = [Vec::new(), Vec::new()];
        loop {
            let mut is_quiet = true;
            for (end, events) in events.iter_mut().enumerate() {
                let (sender, receiver, from) =
                    if end == 0 { (&mut self.near, &mut self.far, 1) } else { (&mut self.far, &mut self.near, 2) };
                while let Some(event) = sender.poll_event() {
                    match event {
                        Event::Keying(job) => sender.keying_done(self.now, job.run()),
                        event => events.push(event),
                    }
                }
                let mut datagram = Vec::new();
                while sender.poll_transmit(self.now, &mut datagram).is_some() {
                    is_quiet = false;
                    receiver.handle_datagram(self.now, ONLY, address(from), &mut datagram);
                    datagram.clear();
                }
            }
            if is_quiet {
                return events;
            }
        }
    }
}

fn address(number: u8) -> SocketAddr {
    ([192, 0, 2, number], 1000).into()
}
