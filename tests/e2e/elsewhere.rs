//! Peers of different servers meet: the servers share a registry.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use introd::introducer::Counter;
use introd::server::{Server, ServerSettings};
use introd_policy::registry::{InMemory, LookupFuture, Registry, RegistryError};
use rtmfp::{PeerId, TaggedAddress};

use crate::harness::clients::{TIMEOUT, client, meet};
use crate::harness::stranger::Stranger;

fn server(registry: Arc<dyn Registry>) -> Server {
    let listen = vec![SocketAddr::from(([127, 0, 0, 1], 0))];
    let registry = Some(registry);
    Server::start(&ServerSettings { listen, workers: Some(2), registry, ..ServerSettings::default() })
        .expect("a server")
}

#[tokio::test]
async fn clients_of_two_servers_meet() {
    let registry = Arc::new(InMemory::default());
    let (mut a, mut b) = (server(Arc::clone(&registry) as _), server(Arc::clone(&registry) as _));
    let mut first = client(a.addresses()[0], 1).await;
    let mut second = client(b.addresses()[0], 2).await;
    let published = registry.lookup(second.id()).await.unwrap().expect("it is published");
    let relay = TaggedAddress::new(b.addresses()[0], rtmfp::Origin::Relay);
    assert_eq!(published.last(), Some(&relay), "the list ends with the server's own address");
    meet(&mut first, &mut second).await;
    let ids = [first.id(), second.id()];
    first.close().await;
    second.close().await;
    a.stop();
    b.stop();
    for id in ids {
        assert_eq!(registry.lookup(id).await, Ok(None), "a client that has left is withdrawn");
    }
    // The first server sent the asker away, the second introduced the two: redirects - forwards is the number of those sent to
    // another server.
    let (a, b) = (a.counters(), b.counters());
    assert_eq!(a.get(Counter::Forwards), 0);
    assert!(a.get(Counter::Redirects) >= 1 && a.get(Counter::Redirects) == a.get(Counter::RegistryLookups));
    assert!(b.get(Counter::Lookups) >= 1 && b.get(Counter::Redirects) >= 1);
    assert_eq!(b.get(Counter::RegistryLookups), 0);
}

#[tokio::test]
async fn a_peer_that_left_its_server_is_not_looked_for_there() {
    let registry = Arc::new(InMemory::default());
    let a = server(Arc::clone(&registry) as _);
    let mut asker = client(a.addresses()[0], 1).await;
    let gone = PeerId([7; 32]);
    // Its stale entry names the very server that is asked.
    registry.publish(gone, &[TaggedAddress::new(a.addresses()[0], rtmfp::Origin::Relay)]).unwrap();
    let failure = asker.meet(gone, Duration::from_secs(2)).await.expect_err("it is not there");
    assert!(failure.problem.contains("did not introduce"), "{failure}");
    assert!(a.counters().get(Counter::UnknownTargets) > 0);
    assert_eq!(a.counters().get(Counter::Redirects), 0);
}

/// Where `server` redirects a sender that is no client; nowhere if it does not answer.
async fn redirected(server: SocketAddr, peer: PeerId) -> Vec<SocketAddr> {
    let asking = move || Stranger::new(Duration::from_millis(700)).look_up(server, peer);
    // The clients go on meanwhile.
    let addresses = tokio::task::spawn_blocking(asking).await.expect("it asks").unwrap_or_default();
    addresses.iter().map(|tagged| tagged.address).collect()
}

#[tokio::test]
async fn a_client_that_went_to_another_server_silently_is_found_there_once_it_answers_no_ping() {
    let registry = Arc::new(InMemory::default());
    let (a, b) = (server(Arc::clone(&registry) as _), server(Arc::clone(&registry) as _));
    let (first, second) = (a.addresses()[0], b.addresses()[0]);
    let mut living = client(first, 1).await;
    let vanishing = client(first, 2).await;
    let ids = [living.id(), vanishing.id()];
    drop(vanishing);
    let mut back = client(second, 2).await;
    let searching = async {
        while !redirected(first, ids[1]).await.contains(&second) {
            let found = redirected(first, ids[0]).await;
            assert!(!found.contains(&second), "a client that answers is found here: {found:?}");
            // A client that looks for a peer asks again after a while.
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = searching => (),
        failure = living.stay() => panic!("{failure}"),
        failure = back.stay() => panic!("{failure}"),
        // The endpoint gives the old session up after 120 seconds of silence, and counts it as silent after 30.
        () = tokio::time::sleep(TIMEOUT) => panic!("the first server does not look for it elsewhere"),
    }
}

/// A registry that never answers, and counts its calls.
#[derive(Default)]
struct Frozen(AtomicUsize);

impl Registry for Frozen {
    fn publish(&self, _: PeerId, _: &[TaggedAddress]) -> Result<(), RegistryError> {
        Err(RegistryError::Unavailable("frozen".to_owned()))
    }

    fn withdraw(&self, _: &PeerId) {}

    fn lookup(&self, _: PeerId) -> LookupFuture {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn a_registry_that_does_not_answer_stops_no_local_introduction() {
    let registry = Arc::new(Frozen::default());
    let a = server(Arc::clone(&registry) as _);
    let mut first = client(a.addresses()[0], 1).await;
    let mut second = client(a.addresses()[0], 2).await;
    let failure = first.meet(PeerId([7; 32]), Duration::from_secs(2)).await.expect_err("no answer comes");
    assert!(failure.problem.contains("did not introduce"), "{failure}");
    meet(&mut first, &mut second).await;
    let counters = a.counters();
    assert!(counters.get(Counter::RegistryTimeouts) > 0, "{counters:?}");
    assert!(counters.get(Counter::RegistryUnpublished) > 0, "{counters:?}");
    assert_eq!(counters.get(Counter::RegistryCalls), registry.0.load(Ordering::Relaxed) as u64);
}
