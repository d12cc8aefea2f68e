//! Reads what the lookups that have come together need, before they are handled one after the other.

use rtmfp::{Endpoint, PeerId, SessionId};
use smallvec::SmallVec;

use crate::serve::turn::WorkerInfo;

/// With fewer clients than this the processor's caches hold what is needed of all of them.
const FEW_CLIENTS: usize = 2000;
/// For how many lookups is read ahead. What is read for these fits into a processor's second cache.
const MOST: usize = 256;
/// Reading ahead for fewer lookups than this saves no time.
const LEAST: usize = 2;

/// Brings what the lookups among the waiting events need into the processor's caches: the targets' entries in the directory, and their
/// sessions if this worker has them. With many `clients`, most of a lookup's own time is else spent waiting for memory.
pub(in crate::serve) fn read_ahead(endpoint: &Endpoint, info: &WorkerInfo, clients: usize) {
    if clients < FEW_CLIENTS {
        return;
    }
    for session in sessions_of_targets(endpoint, info) {
        endpoint.read_ahead(session);
    }
}

/// The sessions of this worker that hellos are about to be forwarded to. To find them, the entries of all targets are read.
fn sessions_of_targets(endpoint: &Endpoint, info: &WorkerInfo) -> SmallVec<[SessionId; MOST]> {
    let targets: SmallVec<[PeerId; MOST]> = endpoint.waiting_targets().take(MOST).collect();
    let mut sessions = SmallVec::new();
    if targets.len() < LEAST {
        return sessions;
    }
    info.services.directory.read_ahead(&targets, |session| {
        if session.prefix() == info.index {
            sessions.push(session);
        }
    });
    sessions
}

#[cfg(test)]
mod tests {
    use rtmfp::InterfaceId;
    use rtmfp::crypto::{Epd, Sealer};
    use rtmfp::wire::chunk::IHello;
    use rtmfp::wire::{Mode, PacketHeader};

    use super::*;
    use crate::serve::testing::World;

    /// A hello that looks for a peer.
    fn hello(target: PeerId) -> Vec<u8> {
        let (mut sealer, mut datagram) = (Sealer::startup(), Vec::new());
        sealer.begin(&mut datagram);
        PacketHeader::new(Mode::Startup).put(&mut datagram);
        assert!(IHello { epd: &Epd::fingerprint(target), tag: &[3; 16] }.put(&mut datagram));
        sealer.finish(0, 0, &mut datagram);
        datagram
    }

    #[test]
    fn the_sessions_of_targets_at_this_worker_are_found_if_several_lookups_wait() {
        let mut world = World::with_config(|_| ());
        let clients = [(); 3].map(|()| world.client("rtmfp://host/chat"));
        let [here, also_here, elsewhere] = clients.map(|end| world.ends[end].id);
        let unknown = PeerId([9; 32]);
        let sessions = clients.map(|end| world.session(end));
        let directory = &world.services.directory;
        directory.remove(&elsewhere, sessions[2]);
        let other_worker = SessionId::from_wire(1 << 26 | 7);
        directory.connect(elsewhere, other_worker, 0, ([192, 0, 2, 1], 1).into(), false);
        for (targets, expected) in [
            (&[here][..], &[][..]),
            (&[unknown, here], &sessions[..1]),
            (&[here, elsewhere, also_here], &sessions[..2]),
            (&[here; MOST + 1], &[sessions[0]; MOST]),
        ] {
            for target in targets {
                let from = ([198, 51, 100, 1], 4000).into();
                world.worker.endpoint.handle_datagram(world.now, InterfaceId(0), from, &mut hello(*target));
            }
            assert_eq!(&sessions_of_targets(&world.worker.endpoint, &world.worker.info)[..], expected);
            read_ahead(&world.worker.endpoint, &world.worker.info, FEW_CLIENTS);
            world.exchange();
        }
    }
}
