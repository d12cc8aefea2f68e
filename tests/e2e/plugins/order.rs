//! Plugins in the order of the configuration, then the script, then the server.

use introd_tests::program::{Ended, Files, Server};
use rtmfp::{PeerId, TaggedAddress};

use super::puppet;
use crate::harness::clients::{TIMEOUT, client};
use crate::harness::log::said;
use crate::harness::stranger::Stranger;

const SCRIPT: &str = "function application.onPeerLookup(event)
  trace('<<script lookup>>')
  application.sendPeerRedirect({'192.0.2.3:3'}, event)
end";
const ALL: &str = "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>";

fn says(name: &str, verdict: &str) -> String {
    puppet(&format!("<name>{name}</name><lookup>{verdict}</lookup>"))
}

/// Looks up a connected client: where the asker is sent to, and how the server ended. Plugins decide at once, a script later.
async fn ask(plugins: &[String], script: Option<&str>) -> (Option<String>, Ended) {
    let files = Files::new();
    let settings = format!("<Plugins>{}</Plugins>", plugins.concat());
    match script {
        Some(script) => files.script("app", script, &format!("{ALL}{settings}")),
        None => files.application(&settings),
    };
    let server = Server::configured(files.path(), 1);
    let target = client(server.addresses[0], 1).await;
    let (id, own) = (target.id(), target.connect_info().seen.expect("the server says"));
    let is_scripts = script.is_some() && plugins.iter().all(|plugin| plugin.contains(">continue<"));
    let redirect = if is_scripts {
        Stranger::new(TIMEOUT).look_up(server.addresses[0], id).and_then(|to| to.first().copied())
    } else {
        redirected(&server, id)
    };
    target.close().await;
    let redirect =
        redirect.map(|address| if address.address == own { "target".to_owned() } else { address.address.to_string() });
    (redirect, server.stop())
}

/// The first address that an asker is redirected to; `None` if it gets no answer. The policies decide at once.
fn redirected(server: &Server, id: PeerId) -> Option<TaggedAddress> {
    Stranger::new(TIMEOUT).look_up_at_once(server.addresses[0], id)?.first().copied()
}

/// The policies that were asked, in order.
fn asked(ended: &Ended) -> Vec<&str> {
    said(&ended.stderr).into_iter().filter_map(|said| said.split_once(" lookup").map(|(policy, _)| policy)).collect()
}

#[tokio::test]
async fn the_first_plugin_decides_before_the_second() {
    let (redirect, ended) =
        ask(&[says("first", "redirect 192.0.2.1:1"), says("second", "redirect 192.0.2.2:2")], None).await;
    assert_eq!(redirect.as_deref(), Some("192.0.2.1:1"));
    assert_eq!(asked(&ended), ["first"]);
    let (redirect, ended) = ask(&[says("first", "continue"), says("second", "redirect 192.0.2.2:2")], None).await;
    assert_eq!(redirect.as_deref(), Some("192.0.2.2:2"));
    assert_eq!(asked(&ended), ["first", "second"]);
}

#[tokio::test]
async fn a_plugin_decides_before_the_script() {
    let (redirect, ended) = ask(&[says("first", "redirect 192.0.2.1:1")], Some(SCRIPT)).await;
    assert_eq!(redirect.as_deref(), Some("192.0.2.1:1"));
    assert_eq!(asked(&ended), ["first"]);
    let (redirect, ended) = ask(&[says("first", "continue")], Some(SCRIPT)).await;
    assert_eq!(redirect.as_deref(), Some("192.0.2.3:3"));
    assert_eq!(asked(&ended), ["first", "script"]);
    let (redirect, ended) = ask(&[says("first", "deny")], Some(SCRIPT)).await;
    assert_eq!(redirect, None);
    assert_eq!((asked(&ended), ended.counter("rtmfp_lookups_denied")), (vec!["first"], 1));
}

#[tokio::test]
async fn a_plugin_decides_before_the_built_in_behaviour() {
    let (redirect, ended) = ask(&[says("first", "continue")], None).await;
    assert_eq!(redirect.as_deref(), Some("target"));
    assert_eq!((asked(&ended), ended.counter("rtmfp_forwards")), (vec!["first"], 1));
    let (redirect, ended) = ask(&[says("first", "ignore")], None).await;
    assert_eq!((redirect, ended.counter("rtmfp_lookups_denied")), (None, 0));
}

#[tokio::test]
async fn the_script_decides_before_the_built_in_behaviour() {
    let (redirect, ended) = ask(&[], Some(SCRIPT)).await;
    assert_eq!(redirect.as_deref(), Some("192.0.2.3:3"));
    assert_eq!((asked(&ended), ended.counter("rtmfp_forwards")), (vec!["script"], 0));
}

#[tokio::test]
async fn a_plugin_introduces_before_the_script_is_asked() {
    let (redirect, ended) = ask(&[says("first", "introduce")], Some(SCRIPT)).await;
    assert_eq!(redirect.as_deref(), Some("target"));
    assert_eq!((asked(&ended), ended.counter("rtmfp_forwards")), (vec!["first"], 1));
}

#[tokio::test]
async fn a_plugin_introduces_by_the_services_of_the_host() {
    let (redirect, ended) = ask(&[says("first", "by-hand")], Some(SCRIPT)).await;
    assert_eq!(redirect.as_deref(), Some("target"));
    assert_eq!((asked(&ended), ended.counter("rtmfp_forwards")), (vec!["first"], 1));
    assert!(ended.stderr.contains("<<first by hand true 1 Ok(())>>"), "{ended:?}");
    assert!(ended.stderr.contains("<<first nobody (true, Err(NotFound))>>"), "{ended:?}");
}

#[tokio::test]
async fn a_plugin_that_fails_falls_back_to_on_failure() {
    for (fallback, expected, denied) in [("deny", None, 1), ("ignore", None, 0), ("continue", Some("target"), 0)] {
        for verdict in ["fail", "panic", "drop", "redirect nowhere"] {
            let files = Files::new();
            let plugins = says("first", verdict);
            files.application(&format!(
                "<Plugins>{plugins}</Plugins><Policy><OnFailure>{fallback}</OnFailure></Policy>"
            ));
            let server = Server::configured(files.path(), 1);
            let target = client(server.addresses[0], 1).await;
            let own = target.connect_info().seen.expect("the server says");
            let redirect = redirected(&server, target.id()).map(|address| address.address);
            assert_eq!(redirect, expected.map(|_| own), "{fallback} {verdict}");
            target.close().await;
            let ended = server.stop();
            assert_eq!(ended.counter("rtmfp_lookups_denied"), denied, "{fallback} {verdict}: {ended:?}");
            assert!(ended.stderr.contains("a plugin has failed"), "{fallback} {verdict}: {ended:?}");
            assert_eq!(ended.stderr.contains("a plugin has panicked"), verdict == "panic", "{ended:?}");
        }
    }
}
