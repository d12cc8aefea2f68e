//! Plugins in Rust, C and C++ filter lookups.

use std::time::Duration;

use introd_tests::libraries::{c_examples, library};
use introd_tests::program::{Files, Server};

use super::plugin;
use crate::harness::clients::{TIMEOUT, client};
use crate::harness::log::logged;

/// Looks for two peers with that plugin in the way of one: which one is found, and what the server counted.
async fn only_the_other_is_found(name: &str, plugin: impl FnOnce(&str) -> String, metric: &str) {
    let files = Files::new();
    let identity = |number| crate::harness::clients::identity(number).peer_id().to_string();
    files.application(&format!("<Plugins>{}</Plugins>", plugin(&identity(2))));
    let server = Server::configured(files.path(), 2);
    let address = server.addresses[0];
    let (mut asker, mut denied, mut other) =
        (client(address, 1).await, client(address, 2).await, client(address, 3).await);
    let (denied_id, other_id) = (denied.id(), other.id());
    assert_eq!(denied_id.to_string(), identity(2));
    tokio::select! {
        () = async {
            let failure = asker.meet(denied_id, Duration::from_millis(1500)).await.expect_err("it is denied");
            assert!(failure.problem.contains("did not introduce"), "{failure}");
            asker.meet(other_id, TIMEOUT).await.expect("an introduction");
        } => (),
        failure = denied.stay() => panic!("{failure}"),
        failure = other.stay() => panic!("{failure}"),
    }
    assert_eq!(denied.echoed_peers(), []);
    let ended = server.stop();
    let count = ended.counter("rtmfp_lookups_denied");
    assert!(count >= 1, "{ended:?}");
    assert_eq!(ended.counter(metric), count, "{ended:?}");
    assert!(ended.counter("rtmfp_redirects") >= 1, "{ended:?}");
    let loaded = format!("plugin loaded plugin=\"{name}\"");
    assert!(ended.stderr.contains(&loaded), "{ended:?}");
    assert!(ended.stderr.contains(&format!("plugin ended plugin=\"{name}\"")), "{ended:?}");
}

#[tokio::test]
async fn a_plugin_in_rust_filters_lookups() {
    let config = |peer: &str| {
        let rule = format!("<rule action=\"deny\" target=\"{peer}\"/>");
        plugin(&library("lookup-filter"), &rule)
    };
    only_the_other_is_found("lookup-filter", config, "plugin_lookup_filter_denied").await;
}

#[tokio::test]
async fn a_plugin_in_c_filters_lookups() {
    let config = |peer: &str| plugin(&c_examples()[0], &format!("<deny>{peer}</deny>"));
    only_the_other_is_found("example-c", config, "plugin_example_c_denied").await;
}

#[tokio::test]
async fn a_plugin_in_cpp_filters_lookups() {
    let config = |peer: &str| plugin(&c_examples()[1], &format!("<deny>{peer}</deny>"));
    only_the_other_is_found("example-cpp", config, "plugin_example_cpp_denied").await;
}

#[tokio::test]
async fn a_changed_list_takes_effect_without_a_reload() {
    let files = Files::new();
    let id = crate::harness::clients::identity(2).peer_id();
    files.write("../lists/banned.txt", "# nobody yet\n");
    let rule = "<rule action=\"deny\" target=\"@lists/banned.txt\"/>";
    files.application(&format!("<Plugins>{}</Plugins>", plugin(&library("lookup-filter"), rule)));
    let server = Server::configured(files.path(), 1);
    let (mut asker, mut target) = (client(server.addresses[0], 1).await, client(server.addresses[0], 2).await);
    tokio::select! {
        () = async {
            asker.meet(id, TIMEOUT).await.expect("an introduction");
            files.write("../lists/banned.txt", &format!("# now\n{id}\n"));
            logged(&server, "banned.txt has changed: 1 entries", 1).await;
            let mut second = client(server.addresses[0], 3).await;
            second.meet(id, Duration::from_millis(1500)).await.expect_err("it is denied");
        } => (),
        failure = target.stay() => panic!("{failure}"),
    }
    assert!(server.stop().counter("rtmfp_lookups_denied") >= 1);
}

#[tokio::test]
async fn lookups_of_a_source_over_its_rate_are_denied() {
    let files = Files::new();
    let rate = "<rate per-second=\"0.5\" burst=\"2\"/>";
    files.application(&format!("<Plugins>{}</Plugins>", plugin(&library("lookup-filter"), rate)));
    let server = Server::configured(files.path(), 1);
    let (socket, to) = (std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), server.addresses[0]);
    for number in 0..20u8 {
        socket.send_to(&introd_tests::startup_packets::lookup(rtmfp::PeerId([number; 32]), [number; 16]), to).unwrap();
    }
    // A client whose connect is answered: what came before has been seen.
    client(to, 1).await.close().await;
    let ended = server.stop();
    assert_eq!(ended.counter("rtmfp_lookups"), 20, "{ended:?}");
    let over = ended.counter("plugin_lookup_filter_over_rate");
    assert!((15..=18).contains(&over), "{ended:?}");
    assert_eq!(ended.counter("rtmfp_lookups_denied"), over, "{ended:?}");
}
