//! Lookups of peers that are not connected here, in a registry that several servers share.

use std::sync::Arc;
use std::time::Duration;

use introd_policy::registry::RegistryError;
use rtmfp::{Origin, PeerId, TaggedAddress};

use super::{counted, verdicts};
use crate::introducer::Counter;
use crate::meetings::LookupAnswer;
use crate::serve::testing::{MAX_CALLS, Published, RESOLVER_TIMEOUT, Setup, World};

const WANTED: PeerId = PeerId([9; 32]);

fn world() -> (World, Arc<Published>) {
    let shared = Published::new();
    (World::new(Setup { shared: Some(Arc::clone(&shared) as _), ..Setup::default() }), shared)
}

/// Lookups in the registry, calls of it, its failures, its timeouts, and lookups for which it had no room.
fn asked(world: &World) -> [u64; 5] {
    [
        Counter::RegistryLookups,
        Counter::RegistryCalls,
        Counter::RegistryFailures,
        Counter::RegistryTimeouts,
        Counter::RegistryBusy,
    ]
    .map(|counter| world.count(counter))
}

#[test]
fn an_asker_is_redirected_to_where_the_registry_knows_the_peer() {
    let (mut world, shared) = world();
    let [asker, elsewhere] = [world.client("rtmfp://host/chat"), world.add()];
    let (wanted, at) = (world.ends[elsewhere].id, world.ends[elsewhere].address);
    world.look_up(asker, wanted);
    assert_eq!((asked(&world), world.worker.pending.len()), ([1, 1, 0, 0, 0], 1));
    shared.answer(Ok(Some(vec![TaggedAddress::new(at, Origin::Observed)])));
    world.wait_for_mail();
    assert_eq!((counted(&world), world.worker.pending.len()), ([1, 1, 0, 0, 0], 0));
    assert_eq!(world.ends[asker].met, [wanted]);
}

#[test]
fn a_peer_that_the_registry_does_not_know_and_a_registry_that_fails_are_counted() {
    let (mut world, shared) = world();
    let asker = world.client("rtmfp://host/chat");
    world.look_up(asker, WANTED);
    shared.answer(Err(RegistryError::Unavailable("it is down".to_owned())));
    world.wait_for_mail();
    assert_eq!((asked(&world), counted(&world)), ([1, 1, 1, 0, 0], [1, 0, 0, 0, 0]));
    world.look_up(asker, PeerId([8; 32]));
    shared.answer(Ok(None));
    world.wait_for_mail();
    assert_eq!((asked(&world), counted(&world)), ([2, 2, 1, 0, 0], [2, 0, 0, 0, 1]));
}

#[test]
fn askers_share_a_call_and_one_that_repeats_itself_waits_once() {
    let (mut world, shared) = world();
    let [first, second] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    world.look_up(first, WANTED);
    // The first asker repeats its hello.
    let before = world.count(Counter::Lookups);
    while world.count(Counter::Lookups) == before {
        world.advance(Duration::from_millis(100));
    }
    assert_eq!((asked(&world), world.worker.pending.len()), ([2, 1, 0, 0, 0], 1));
    assert_eq!(verdicts(&world, LookupAnswer::Repeated), 1);
    world.look_up(second, WANTED);
    assert_eq!((asked(&world), world.worker.pending.len(), shared.waiting()), ([3, 1, 0, 0, 0], 2, 1));
}

#[test]
fn where_the_registry_has_no_room_the_lookup_is_not_made() {
    let (mut world, shared) = world();
    let asker = world.client("rtmfp://host/chat");
    let max = MAX_CALLS as u64;
    (0..=max).for_each(|number| world.look_up(asker, PeerId([number as u8; 32])));
    assert_eq!((asked(&world), shared.waiting()), ([max + 1, max, 0, 0, 1], MAX_CALLS));
    assert_eq!(world.worker.pending.len(), MAX_CALLS);
}

#[test]
fn a_reply_that_is_lost_is_waited_for_twice_as_long_as_the_registry() {
    let (mut world, _shared) = world();
    let stranger = world.add();
    world.look_up(stranger, WANTED);
    // It repeats itself for some minutes at most.
    world.advance(2 * RESOLVER_TIMEOUT - Duration::from_millis(1));
    assert_eq!((world.count(Counter::RegistryTimeouts), world.worker.pending.len()), (0, 1));
    world.advance(Duration::from_millis(1));
    assert_eq!((world.count(Counter::RegistryTimeouts), world.worker.pending.len()), (1, 0));
}

#[test]
fn a_silent_client_that_the_registry_does_not_know_elsewhere_is_still_introduced() {
    let (mut world, shared) = world();
    let [asker, target] = [(); 2].map(|()| world.client("rtmfp://host/chat"));
    let (id, session) = (world.ends[target].id, world.session(target));
    world.services.directory.set_silent(&id, session, true);
    world.look_up(asker, id);
    assert_eq!((asked(&world), world.ends[asker].met.len()), ([1, 1, 0, 0, 0], 0));
    shared.answer(Ok(None));
    world.wait_for_mail();
    assert_eq!((counted(&world), world.ends[asker].met.as_slice()), ([1, 1, 1, 0, 0], &[id][..]));
}
