//! A registry that a plugin keeps.

use std::path::Path;
use std::time::Duration;

use introd_config::XmlSettings;
use introd_native::{NativeRegistry, Plugins};
use introd_policy::registry::{PeerSession, Registry, RegistryError};
use introd_tests::libraries::{c_library, include, library};
use rtmfp::{Origin, PeerId, SessionId, TaggedAddress};

fn registry(plugins: &Plugins, mode: &str) -> NativeRegistry {
    let text = |text: &str| XmlSettings { text: text.to_owned(), children: Vec::new() };
    let config = XmlSettings { text: String::new(), children: vec![("mode".to_owned(), text(mode))] };
    plugins.registry(&library("memory-registry"), &config, Path::new("."), None).expect("a registry")
}

fn addresses() -> Vec<TaggedAddress> {
    ["192.0.2.1:1935", "[2001:db8::1]:1935"]
        .map(|text| TaggedAddress::new(text.parse().expect("an address"), Origin::Observed))
        .into()
}

async fn answer(registry: &NativeRegistry, peer: PeerId) -> Result<Option<Vec<TaggedAddress>>, RegistryError> {
    // Only a registry that never answers needs the time.
    tokio::time::timeout(Duration::from_secs(30), registry.lookup(peer)).await.expect("an answer")
}

#[tokio::test]
async fn what_is_published_is_found_until_it_is_withdrawn() {
    let plugins = Plugins::new(crate::bench::replies());
    for mode in ["now", "later"] {
        let registry = registry(&plugins, mode);
        let peer = PeerId([7; 32]);
        assert_eq!(answer(&registry, peer).await, Ok(None), "{mode}");
        registry.publish(peer, &addresses()).unwrap();
        assert_eq!(answer(&registry, peer).await, Ok(Some(addresses())), "{mode}");
        assert_eq!(answer(&registry, PeerId([8; 32])).await, Ok(None), "{mode}");
        registry.withdraw(&peer);
        assert_eq!(answer(&registry, peer).await, Ok(None), "{mode}");
        let metrics = plugins.metrics();
        let calls = metrics.iter().find(|metric| metric.name == "plugin_memory_registry_calls").expect("it is counted");
        assert_eq!(calls.value, 6, "{mode}");
    }
}

#[tokio::test]
async fn a_failing_registry_says_why() {
    let plugins = Plugins::new(crate::bench::replies());
    let failing = registry(&plugins, "fail");
    let why = RegistryError::Unavailable("the mode is fail".to_owned());
    assert_eq!(answer(&failing, PeerId([7; 32])).await, Err(why));
    assert_eq!(registry(&plugins, "full").publish(PeerId([7; 32]), &addresses()), Err(RegistryError::Full));
}

#[tokio::test]
async fn a_lookup_that_is_dropped_is_cancelled() {
    let plugins = Plugins::new(crate::bench::replies());
    let registry = registry(&plugins, "never");
    let waiting = registry.lookup(PeerId([7; 32]));
    let calls = registry.instance().account().calls();
    drop(waiting);
    assert_eq!(registry.instance().account().calls(), calls + 1, "the plugin is told");
}

fn peer_session(id: u32, is_proven: bool, is_silent: bool) -> PeerSession {
    PeerSession { id: SessionId::from_wire(id), is_proven, is_silent }
}

#[tokio::test]
async fn a_registry_is_told_the_state_of_each_session() {
    let plugins = Plugins::new(crate::bench::replies());
    let registry = registry(&plugins, "now");
    let peer = PeerId([7; 32]);
    registry.publish_session(peer, &[], peer_session(1, false, false)).unwrap();
    assert_eq!(answer(&registry, peer).await, Ok(None), "nobody has said where it is");
    registry.publish_session(peer, &addresses(), peer_session(1, false, false)).unwrap();
    assert_eq!(answer(&registry, peer).await, Ok(Some(addresses())));
    registry.publish_session(peer, &[], peer_session(1, false, true)).unwrap();
    assert_eq!(answer(&registry, peer).await, Ok(None), "it is silent");
    registry.publish_session(peer, &[], peer_session(1, false, false)).unwrap();
    assert_eq!(answer(&registry, peer).await, Ok(Some(addresses())));
    // What a policy says counts as it is said.
    registry.publish_session(peer, &[], peer_session(1, false, true)).unwrap();
    registry.publish(peer, &addresses()).unwrap();
    assert_eq!(answer(&registry, peer).await, Ok(Some(addresses())));
}

/// A registry in C that checks what it is told by what the peer's id says: flags, session, number of addresses.
fn checking(plugins: &Plugins, header: &str, name: &str) -> NativeRegistry {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugins/c/registry.c");
    let library = c_library(&source, &include().join(header), name, &[]);
    let config = XmlSettings { text: String::new(), children: Vec::new() };
    plugins.registry(&library, &config, Path::new("."), None).expect("a registry")
}

fn expected(flags: u8, session: u8, addresses: u8) -> PeerId {
    let mut id = [0; 32];
    id[..3].copy_from_slice(&[flags, session, addresses]);
    PeerId(id)
}

#[test]
fn what_a_registry_in_c_is_told_of_a_session_is_what_the_header_says() {
    let plugins = Plugins::new(crate::bench::replies());
    let registry = checking(&plugins, "", "registry-today");
    for (flags, is_proven, is_silent) in [(0, false, false), (1, true, false), (2, false, true), (3, true, true)] {
        let session = peer_session(9, is_proven, is_silent);
        assert_eq!(registry.publish_session(expected(flags, 9, 2), &addresses(), session), Ok(()), "{flags}");
        assert_eq!(registry.publish_session(expected(flags, 9, 0), &[], session), Ok(()), "{flags}");
        let wrong = registry.publish_session(expected(4, 9, 2), &addresses(), session);
        assert!(matches!(wrong, Err(RegistryError::Unavailable(_))), "{wrong:?}");
    }
    assert_eq!(registry.publish(expected(0, 0, 2), &addresses()), Err(RegistryError::Full), "it is told as ever");
}

#[test]
fn a_registry_of_release_1_0_is_told_of_the_living_and_of_no_silence() {
    let plugins = Plugins::new(crate::bench::replies());
    let registry = checking(&plugins, "frozen/1.0", "registry-1-0");
    assert_eq!(registry.instance().library().abi(), (1, 0));
    // It says that it is full whenever it is told anything in order.
    let told = |addresses: &[TaggedAddress], is_silent| {
        registry.publish_session(expected(0, 9, 2), addresses, peer_session(9, true, is_silent))
    };
    assert_eq!(told(&addresses(), false), Err(RegistryError::Full));
    assert_eq!(told(&addresses(), true), Ok(()));
    assert_eq!(told(&[], false), Ok(()));
    assert_eq!(told(&[], true), Ok(()));
}

#[test]
fn a_plugin_that_cannot_be_made_says_why() {
    let plugins = Plugins::new(crate::bench::replies());
    let text = XmlSettings { text: "sometimes".to_owned(), children: Vec::new() };
    let config = XmlSettings { text: String::new(), children: vec![("mode".to_owned(), text)] };
    let Err(error) = plugins.registry(&library("memory-registry"), &config, Path::new("."), None) else {
        panic!("made")
    };
    let error = error.to_string();
    assert!(error.starts_with("plugin memory-registry ("), "{error}");
    assert!(
        error.ends_with("could not be made: <mode> must be now, later, never, fail or full, not sometimes"),
        "{error}"
    );
}
