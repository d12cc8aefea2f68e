//! The relay for peers that cannot meet.

use super::Folder;
use crate::{Config, Relay, RelayLimits, RelayMode};

const ADAPTOR: &str = "_defaultRoot_/Adaptor.xml";
const APPLICATION: &str = "_defaultRoot_/_defaultVHost_/Application.xml";

fn adaptor(relay: &str) -> String {
    format!("<Adaptor><RTMFP><Relay>{relay}</Relay></RTMFP></Adaptor>")
}

fn load(adaptor: &str, application: &str) -> Config {
    let folder = Folder::new().with(ADAPTOR, adaptor).with(APPLICATION, application);
    let loaded = folder.load().unwrap();
    assert_eq!(loaded.warnings, []);
    loaded.config
}

/// The addresses of the relay's ports.
fn ports(relay: &Relay) -> Vec<String> {
    relay.ports.iter().flatten().map(ToString::to_string).collect()
}

const FALLBACK: &str = "<Application><RTMFP><Relay mode=\"Fallback\"/></RTMFP></Application>";
const NONE: &str = "<Application/>";

#[test]
fn there_is_a_relay_if_an_application_wants_one_or_its_ports_are_named() {
    assert_eq!(load("<Adaptor/>", NONE).relay(), None);
    assert_eq!(load(&adaptor("<MaxPairs>7</MaxPairs>"), NONE).relay(), None);
    let config = load("<Adaptor/>", FALLBACK);
    let ports_of = |config: &Config| config.relay().map(ports).unwrap_or_default();
    let all = ports_of(&config);
    assert_eq!((all.len(), all[0].as_str(), all[1].as_str()), (64, "0.0.0.0:19400", "[::]:19400"));
    assert_eq!(all[63], "[::]:19431");
    let named = load(&adaptor("<Ports public=\"203.0.113.1:5-6\">192.0.2.1:30000,30002</Ports>"), NONE);
    let expected = ["192.0.2.1:30000 (public 203.0.113.1:5)", "192.0.2.1:30002 (public 203.0.113.1:6)"];
    assert_eq!(ports_of(&named), expected);
    assert_eq!(ports_of(&load(&adaptor("<Ports>192.0.2.1</Ports>"), NONE)).len(), 32);
}

#[test]
fn its_bounds_are_those_of_the_files() {
    let text = "<MaxPairs>1</MaxPairs><MaxPairsPerClient>2</MaxPairsPerClient><MaxPairsPerAddress>3</MaxPairsPerAddress>\
                <MaxBytesPerSecond>-1</MaxBytesPerSecond><IdleTimeout>30</IdleTimeout>";
    let application = "<Application><RTMFP><Relay mode=\"All\"><MaxBytesPerSecond>5000</MaxBytesPerSecond>\
                       <MaxLifetime>90</MaxLifetime></Relay></RTMFP></Application>";
    let config = load(&adaptor(text), application);
    let relay = config.relay().unwrap();
    assert_eq!((relay.max_pairs, relay.max_pairs_per_client, relay.max_pairs_per_address), (1, 2, 3));
    assert_eq!((relay.bytes_per_second, relay.idle_timeout.as_secs()), (u64::MAX, 30));
    let settings = &config.default_adaptor.default_vhost.defaults;
    let limits = RelayLimits { bytes_per_second: 5000, lifetime: std::time::Duration::from_secs(90) };
    assert_eq!((settings.relay_mode, settings.relay_limits), (RelayMode::All, limits));
    let shown = config.to_string();
    for part in
        ["relayed from the first lookup on", "UDP :19400-19431", "pairs: 1, of one client: 2, from one address: 3"]
    {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
}

#[test]
fn ports_at_which_the_server_listens_are_refused() {
    let file = |host_port: &str, ports: &str| {
        format!(
            "<Adaptor><HostPortList><HostPort>{host_port}</HostPort></HostPortList>\
             <RTMFP><Relay><Ports>{ports}</Ports></Relay></RTMFP></Adaptor>"
        )
    };
    for (host_port, ports, refused) in [
        (":1935", ":1935-1936", true),
        (":19410", "", true),
        ("127.0.0.1:19410", "", true),
        ("192.0.2.1:1935", "192.0.2.2:1935-1936", false),
        (":1935", "", false),
    ] {
        let loaded = Folder::new().with(ADAPTOR, file(host_port, ports)).with(APPLICATION, FALLBACK).load();
        let problems = loaded.err().map(|problems| problems.to_string()).unwrap_or_default();
        let why = "name other ports in RTMFP/Relay/Ports";
        assert_eq!(problems.matches(why).count(), usize::from(refused), "{host_port} {ports}: {problems}");
    }
    // Where nothing is relayed, the ports are not opened.
    assert!(Folder::new().with(ADAPTOR, file(":19410", "")).load().is_ok());
}

#[test]
fn ports_that_make_no_relay_are_refused() {
    for (ports, why) in [
        ("<Ports>:19400</Ports>", "two ports are needed at least"),
        ("<Ports>:20000-20256</Ports>", "257 ports; the relay has 256 at most"),
        ("<Ports>:70000</Ports>", "Ports"),
        ("<Ports public=\"203.0.113.1:5\">:1-2</Ports>", "1 public for 2 local ones"),
        ("<Ports public=\":5-6\">:1-2</Ports>", "others need a host to reach it by"),
    ] {
        let problems = Folder::new().with(ADAPTOR, adaptor(ports)).load().unwrap_err().to_string();
        assert!(problems.contains(why), "{ports}: {problems}");
    }
}

#[test]
fn a_bound_that_leaves_no_room_for_any_pair_is_said() {
    for (pairs, is_said) in [(0, true), (1, false)] {
        let relay = adaptor(&format!("<MaxPairs>{pairs}</MaxPairs>"));
        let loaded = Folder::new().with(ADAPTOR, relay).with(APPLICATION, FALLBACK).load().unwrap();
        let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
        assert_eq!(loaded.config.relay().unwrap().max_pairs, pairs);
        assert_eq!(
            warnings.iter().filter(|warning| warning.contains("no pair is ever relayed")).count(),
            usize::from(is_said)
        );
        assert_eq!(warnings.len(), usize::from(is_said), "{warnings:?}");
    }
}
