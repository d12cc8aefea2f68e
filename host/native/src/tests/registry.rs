//! Registries that are plugins: what they are told, and what their answers mean.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use ::introd_plugin::abi::*;
use introd_policy::registry::{
    GroupMember, LookupFuture, LookupResult, NeighborQuery, NeighborsResult, PeerSession, Registry as _, RegistryError,
    RegistryState,
};
use rtmfp::{Origin, PeerId, SessionId, TaggedAddress};

use super::bench::{Bench, of_kind};
use super::fake::{Fake, Kind, registry_table};
use crate::values::{raw_address, raw_bytes};
use crate::{NativeRegistry, Reconfigured, RegistryServer};

const PEER: PeerId = PeerId([7; 32]);

fn registry(bench: &Bench, kind: Kind) -> (NativeRegistry, &'static Fake) {
    let (made, fake) = bench.create(registry_table(kind), INTROD_OK);
    (NativeRegistry::of(made.unwrap()).unwrap(), fake)
}

fn address() -> TaggedAddress {
    TaggedAddress::new("192.0.2.9:9".parse().unwrap(), Origin::Relay)
}

fn unavailable(why: &str) -> RegistryError {
    RegistryError::Unavailable(why.to_owned())
}

fn poll<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send>>) -> Poll<T> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// What a lookup gives at once.
fn found(registry: &NativeRegistry) -> LookupResult {
    match poll(&mut registry.lookup(PEER)) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

/// Gives that verdict by the answer of the callback.
fn answers(host: *const introd_host, answer: *mut introd_answer, verdict: &introd_verdict) -> i32 {
    // SAFETY: the table and the answer are those of the callback, and what the verdict points to is valid.
    unsafe { ((*host).answer.unwrap())(host, answer, verdict) }
}

#[test]
fn a_plugin_without_the_table_is_no_registry() {
    let bench = Bench::new();
    let (instance, _) = bench.instance();
    assert!(NativeRegistry::of(instance).is_none());
}

#[test]
fn a_registry_of_a_process_that_is_replaced_hands_over_once_and_is_not_called_after_that() {
    let bench = Bench::new();
    let (registry, fake) = registry(&bench, Kind::Current);
    let state = registry.hand_over().unwrap();
    assert_eq!((state.by.as_str(), &state.state[..]), (registry.instance().library().name(), &b"state"[..]));
    registry.withdraw(&PEER);
    registry.handed_over();
    registry.handed_over();
    let why = unavailable("another process has taken over");
    assert_eq!(registry.publish(PEER, &[address()]), Err(why.clone()));
    assert_eq!(found(&registry), Err(why));
    registry.withdraw(&PEER);
    drop(registry);
    assert_eq!(fake.calls(), ["hand over", "withdraw 7", "handed over"], "it is not destroyed");
}

#[test]
fn a_registry_that_another_process_still_has_withdraws_nothing_and_says_no_goodbye() {
    let bench = Bench::new();
    let heir = || {
        let (made, fake) = bench.create_with(registry_table(Kind::Current), INTROD_OK, b"state");
        assert_eq!(fake.handed_over, "state");
        (NativeRegistry::of(made.unwrap()).unwrap(), fake)
    };
    let (registry, fake) = heir();
    assert_eq!(registry.publish(PEER, &[address()]), Ok(()));
    registry.withdraw(&PEER);
    drop(registry);
    assert_eq!(fake.calls(), ["publish 7 at 1"]);
    for (by, told) in [(None, vec![]), (Some("another"), vec![]), (Some("fake-registry"), vec!["took over last"])] {
        let (registry, fake) = heir();
        assert_eq!(registry.instance().library().name(), "fake-registry");
        let state = by.map(|by| RegistryState { by: by.to_owned(), state: b"last".to_vec() });
        // Who comes over and goes before this process serves is withdrawn when it does; who comes back is not.
        registry.withdraw(&PEER);
        registry.withdraw(&PeerId([8; 32]));
        assert_eq!(registry.publish(PeerId([8; 32]), &[address()]), Ok(()));
        assert_eq!(fake.calls(), ["publish 8 at 1"]);
        registry.took_over(state.as_ref());
        registry.took_over(state.as_ref());
        assert_eq!(fake.calls(), [&told[..], &["withdraw 7"]].concat());
        registry.withdraw(&PEER);
        drop(registry);
        assert_eq!(fake.calls(), ["withdraw 7", "destroy"]);
    }
}

#[test]
fn an_old_registry_hands_nothing_over() {
    let (registry, _) = registry(&Bench::new(), Kind::Old);
    assert_eq!(registry.hand_over(), None);
    registry.handed_over();
}

#[test]
fn a_registry_is_told_of_sessions_with_what_is_known_of_them() {
    let bench = Bench::new();
    let (registry, fake) = registry(&bench, Kind::Current);
    let id = SessionId::from_wire(5);
    for (is_proven, is_silent) in [(false, false), (true, false), (false, true), (true, true)] {
        let session = PeerSession { id, is_proven, is_silent };
        assert_eq!(registry.publish_session(PEER, &[address()], session), Ok(()));
    }
    let quiet = PeerSession { id, is_proven: false, is_silent: false };
    assert_eq!(registry.publish_session(PEER, &[], quiet), Ok(()));
    let expected = [
        "publish 7 of 5 at 1, flags 0",
        "publish 7 of 5 at 1, flags 1",
        "publish 7 of 5 at 1, flags 2",
        "publish 7 of 5 at 1, flags 3",
        "publish 7 of 5 at 0, flags 0",
    ];
    assert_eq!(fake.calls(), expected);
    registry.withdraw(&PEER);
    assert_eq!(registry.publish(PEER, &[address(); 2]), Ok(()));
    assert_eq!(fake.calls(), ["withdraw 7", "publish 7 at 2"]);
}

#[test]
fn a_registry_of_the_first_version_is_told_of_sessions_that_are_there() {
    let bench = Bench::new();
    let (registry, fake) = registry(&bench, Kind::Old);
    let session = |is_silent| PeerSession { id: SessionId::from_wire(5), is_proven: true, is_silent };
    assert_eq!(registry.publish_session(PEER, &[address()], session(true)), Ok(()));
    assert_eq!(registry.publish_session(PEER, &[], session(false)), Ok(()));
    assert_eq!(fake.calls(), [""; 0]);
    assert_eq!(registry.publish_session(PEER, &[address()], session(false)), Ok(()));
    assert_eq!(fake.calls(), ["publish 7 at 1"]);
    fake.does(|_, _| INTROD_E_FULL);
    assert_eq!(registry.publish_session(PEER, &[address()], session(false)), Err(RegistryError::Full));
}

#[test]
fn a_registry_that_refuses_says_whether_it_is_full() {
    let bench = Bench::new();
    let (registry, fake) = registry(&bench, Kind::Current);
    for (status, expected) in [
        (INTROD_OK, Ok(())),
        (INTROD_HANDLED, Ok(())),
        (INTROD_E_FULL, Err(RegistryError::Full)),
        (INTROD_E_FAILED, Err(unavailable("it failed"))),
        (INTROD_E_UNAVAILABLE, Err(unavailable("what it needs cannot be reached"))),
    ] {
        fake.does(move |_, _| status);
        assert_eq!(registry.publish(PEER, &[address()]), expected);
        let session = PeerSession { id: SessionId::from_wire(5), is_proven: true, is_silent: false };
        assert_eq!(registry.publish_session(PEER, &[address()], session), expected);
    }
}

#[test]
fn a_registry_without_functions_knows_nobody() {
    let bench = Bench::new();
    let (registry, fake) = registry(&bench, Kind::Empty);
    assert_eq!(registry.publish(PEER, &[address()]), Err(unavailable("it cannot do that")));
    registry.withdraw(&PEER);
    assert_eq!(found(&registry), Ok(None));
    assert_eq!(fake.calls(), [""; 0]);
}

#[test]
fn an_answer_is_addresses_or_none_or_a_failure() {
    let bench = Bench::new();
    let (registry, fake) = registry(&bench, Kind::Current);
    fake.does(|_, _| INTROD_NOT_FOUND);
    assert_eq!(found(&registry), Ok(None));
    fake.does(|_, _| INTROD_E_UNAVAILABLE);
    assert_eq!(found(&registry), Err(unavailable("what it needs cannot be reached")));
    fake.does(|host, answer| {
        let why = introd_verdict { text: raw_bytes(b"on fire"), ..of_kind(INTROD_E_FAILED) };
        answers(host, answer, &why)
    });
    assert_eq!(found(&registry), Err(unavailable("on fire")));
    fake.does(|_, _| INTROD_CONTINUE);
    assert_eq!(found(&registry), Err(unavailable("it returned 0, which is no verdict here")));
    fake.does(|host, answer| {
        let address = raw_address(address());
        let found = introd_verdict { addresses: &raw const address, address_count: 1, ..of_kind(INTROD_REDIRECT) };
        answers(host, answer, &found)
    });
    assert_eq!(found(&registry), Ok(Some(vec![address()])));
    assert_eq!(fake.calls(), ["find 7"; 5]);
}

/// A lookup that the plugin answers later, and its token.
fn later(registry: &NativeRegistry, fake: &'static Fake) -> (LookupFuture, u64) {
    deferred(fake, || registry.lookup(PEER))
}

/// What the plugin answers later, and its token.
fn deferred<T>(
    fake: &'static Fake,
    ask: impl FnOnce() -> Pin<Box<dyn Future<Output = T> + Send>>,
) -> (Pin<Box<dyn Future<Output = T> + Send>>, u64) {
    let token = Arc::new(std::sync::Mutex::new(0));
    let kept = Arc::clone(&token);
    fake.does(move |host, answer| {
        if answer.is_null() {
            return INTROD_OK;
        }
        // SAFETY: the table and the answer are those of the callback.
        *kept.lock().unwrap() = unsafe { ((*host).defer.unwrap())(host, answer) };
        INTROD_PENDING
    });
    let mut future = ask();
    assert!(poll(&mut future).is_pending());
    let token = *token.lock().unwrap();
    (future, token)
}

fn complete(fake: &Fake, token: u64, kind: i32) -> i32 {
    let verdict = of_kind(kind);
    // SAFETY: the table is the host's, and the verdict is valid for the call.
    unsafe { (fake.functions().complete.unwrap())(fake.host, token, &raw const verdict) }
}

#[test]
fn an_answer_may_come_later() {
    let bench = Bench::new();
    let (registry, fake) = registry(&bench, Kind::Current);
    let (mut future, token) = later(&registry, fake);
    assert_eq!(complete(fake, token, INTROD_DENY), INTROD_E_ARGUMENT, "that is no answer of a registry");
    assert!(poll(&mut future).is_pending());
    assert_eq!(complete(fake, token, INTROD_NOT_FOUND), INTROD_OK);
    assert_eq!(poll(&mut future), Poll::Ready(Ok(None)));
    drop(future);
    assert_eq!(fake.calls(), ["find 7"], "there is nothing left to cancel");
}

#[test]
fn a_lookup_that_is_given_up_is_cancelled_and_one_of_an_instance_that_ends_fails() {
    let bench = Bench::new();
    let (registry, fake) = registry(&bench, Kind::Current);
    let (future, token) = later(&registry, fake);
    drop(future);
    assert_eq!(fake.calls(), ["find 7", "cancel"]);
    assert_eq!(complete(fake, token, INTROD_NOT_FOUND), INTROD_E_TOKEN);
    let (mut future, token) = later(&registry, fake);
    assert!(registry.instance().cancel(token));
    assert_eq!(poll(&mut future), Poll::Ready(Err(unavailable("what it concerns is gone"))));
}

#[test]
fn a_registry_is_told_its_settings_again_and_says_from_when_they_count() {
    let bench = Bench::new();
    let settings = introd_config::XmlSettings { text: "new".to_owned(), children: Vec::new() };
    let tell = |registry: &NativeRegistry| registry.instance().reconfigure(&settings, std::path::Path::new("/root"));
    let (old, fake) = registry(&bench, Kind::Old);
    assert_eq!((tell(&old), fake.calls().len()), (None, 0), "it was built before there was this function");
    let (registry, fake) = registry(&bench, Kind::Current);
    assert_eq!(tell(&registry), Some(Reconfigured::Now));
    assert_eq!(fake.calls(), ["reconfigure <Config>new</Config> in /root"]);
    fake.does(|_, _| INTROD_E_UNSUPPORTED);
    assert_eq!(tell(&registry), Some(Reconfigured::AtNextStart));
    fake.does(|host, answer| {
        let verdict = introd_verdict { text: raw_bytes(b"no such file"), ..of_kind(INTROD_E_FAILED) };
        answers(host, answer, &verdict);
        INTROD_E_FAILED
    });
    assert_eq!(tell(&registry), Some(Reconfigured::Failed("no such file".to_owned())));
    fake.does(|_, _| INTROD_E_PANIC);
    assert!(matches!(tell(&registry), Some(Reconfigured::Failed(_))));
    fake.calls();
    assert!(matches!(tell(&registry), Some(Reconfigured::Failed(_))));
    assert_eq!(fake.calls(), [""; 0], "it has panicked");
}

const MEMBER: GroupMember = GroupMember { group: [3; 32], peer: PEER, position: [9; 32] };

fn members(registry: &NativeRegistry, near: usize, far: usize) -> NeighborsResult {
    match poll(&mut registry.group_neighbors(&NeighborQuery { member: MEMBER, near, far })) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn a_registry_has_groups_if_its_plugin_has_all_their_functions() {
    let bench = Bench::new();
    for (kind, has) in [(Kind::Groups, true), (Kind::HalfGroups, false), (Kind::Current, false), (Kind::Old, false)] {
        let (registry, fake) = registry(&bench, kind);
        assert_eq!(registry.has_groups(), has);
        if !has {
            assert_eq!(members(&registry, 3, 3), Err(unavailable("it cannot do that")));
            assert_eq!(fake.calls(), [""; 0]);
        }
    }
    let (registry, _) = registry(&bench, Kind::Current);
    assert_eq!(registry.join_group(&MEMBER), Err(unavailable("it cannot do that")));
    assert_eq!(registry.leave_group(&MEMBER), Err(unavailable("it cannot do that")));
}

#[test]
fn a_registry_is_told_of_members_and_asked_for_a_bounded_number() {
    let bench = Bench::new();
    let (registry, fake) = registry(&bench, Kind::Groups);
    assert_eq!((registry.join_group(&MEMBER), registry.leave_group(&MEMBER)), (Ok(()), Ok(())));
    fake.does(|host, answer| {
        let peers: [_; 2] = [1, 2].map(|number| introd_peer_id { bytes: [number; 32] });
        answers(host, answer, &introd_verdict { members: peers.as_ptr(), member_count: 2, ..of_kind(INTROD_MEMBERS) })
    });
    assert_eq!(members(&registry, 3, 4), Ok(vec![PeerId([1; 32]), PeerId([2; 32])]));
    fake.does(|host, answer| answers(host, answer, &of_kind(INTROD_MEMBERS)));
    assert_eq!(members(&registry, 1000, 1000), Ok(Vec::new()));
    let expected =
        ["join 7 of 3 at 9", "leave 7 of 3 at 9", "neighbors 7 of 3 at 9: 3, 4", "neighbors 7 of 3 at 9: 16, 16"];
    assert_eq!(fake.calls(), expected);
    for (status, expected) in
        [(INTROD_E_FULL, RegistryError::Full), (INTROD_E_UNAVAILABLE, unavailable("what it needs cannot be reached"))]
    {
        fake.does(move |_, _| status);
        assert_eq!(registry.join_group(&MEMBER), Err(expected.clone()));
        assert_eq!(registry.leave_group(&MEMBER), Err(expected));
    }
}

#[test]
fn members_may_come_later_and_addresses_are_none() {
    let bench = Bench::new();
    let (registry, fake) = registry(&bench, Kind::Groups);
    let ask = || registry.group_neighbors(&NeighborQuery { member: MEMBER, near: 3, far: 3 });
    let (mut future, token) = deferred(fake, ask);
    assert_eq!(complete(fake, token, INTROD_NOT_FOUND), INTROD_E_ARGUMENT, "that is an answer to a lookup");
    assert_eq!(complete(fake, token, INTROD_MEMBERS), INTROD_OK);
    assert_eq!(poll(&mut future), Poll::Ready(Ok(Vec::new())));
    let (future, token) = deferred(fake, ask);
    fake.calls();
    drop(future);
    assert_eq!(fake.calls(), ["cancel"], "it is given up");
    assert_eq!(complete(fake, token, INTROD_MEMBERS), INTROD_E_TOKEN);
    fake.does(|_, _| INTROD_NOT_FOUND);
    assert_eq!(members(&registry, 3, 3), Err(unavailable("it returned 7, which is no verdict here")));
}

#[test]
fn the_servers_that_a_registry_names_are_read_within_bounds() {
    let bench = Bench::new();
    let (old, _) = registry(&bench, Kind::Old);
    assert_eq!(old.instance().registry_servers(), None);
    let (registry, fake) = registry(&bench, Kind::Current);
    let servers = || registry.instance().registry_servers();
    assert_eq!(servers(), Some(Vec::new()));
    fake.does(|_, _| 2);
    let first = RegistryServer { name: "a\u{fffd}".to_owned(), is_self: true, is_alive: true };
    let second = RegistryServer { name: "n".repeat(256), is_self: false, is_alive: false };
    assert_eq!(servers(), Some(vec![first, second]), "what is cut off or nowhere is left out");
    fake.does(|_, _| 2000);
    assert_eq!(servers().unwrap().len(), 1000);
    // That it does not know at present is no failure.
    fake.does(|_, _| INTROD_E_UNAVAILABLE);
    assert_eq!((servers(), registry.instance().account().failures()), (None, 0));
    fake.does(|_, _| INTROD_E_FAILED);
    assert_eq!((servers(), registry.instance().account().failures()), (None, 1));
    fake.does(|_, _| INTROD_E_PANIC);
    servers();
    fake.does(|_, _| 1);
    assert_eq!(servers(), None, "it is called no more");
}
