//! What came of introductions, as the metrics have it.

use introd_tests::program::{Files, Peer, Server, probe};
use introd_tests::waiting::eventually;

use crate::harness::http::get;

#[test]
fn a_meeting_is_counted_and_so_is_the_policy_that_decided() {
    let files = Files::new();
    // Of two applications, the script of one denies all lookups.
    let settings = "<RTMFP><PeerLookupEvents mode=\"All\"/></RTMFP>";
    files.script("shut", "function application.onPeerLookup(event) application.denyPeerLookup(event) end", settings);
    let server = Server::administered(files.path(), 2);
    let peer = Peer::stay(&server.uri(0));
    let met = probe(&["--json", "--peer", &peer.id, &server.uri(0)]);
    assert_eq!(met.code, Some(0), "{met:?}");
    let denied = probe(&["--timeout", "2", "--peer", &peer.id, &server.uri_of("shut")]);
    assert_eq!(denied.code, Some(1), "{denied:?}");
    // An attempt counts when its asker has been quiet for some seconds. Both are at one address.
    let expected = [
        "introd_introductions_total{outcome=\"met\",asker_nat=\"same_address\",target_nat=\"same_address\"} 1",
        "introd_introductions_under_way 0",
        "introd_introductions_not_followed_total 0",
        "introd_story_events_lost_total 0",
    ];
    eventually("the outcomes", || {
        let metrics = get(server.admin[0], "/metrics").body;
        let denied =
            metrics.lines().any(|line| line.contains("{outcome=\"denied\",") && line.trim_end().ends_with(" 1"));
        denied && expected.iter().all(|line| metrics.lines().any(|known| known.trim_end() == *line))
    });
    let metrics = get(server.admin[0], "/metrics").body;
    let count = |policy: &str, verdict: &str| -> u64 {
        let sample = format!("introd_lookup_verdicts_total{{policy=\"{policy}\",verdict=\"{verdict}\"}} ");
        let line = metrics.lines().find_map(|line| line.strip_prefix(&sample));
        line.unwrap_or_else(|| panic!("no {sample}in {metrics}")).trim_end().parse().unwrap()
    };
    assert!(count("the server", "introduced") >= 1 && count("script", "denied") >= 1, "{metrics}");
    assert_eq!(count("the server", "denied"), 0);
    peer.leave();
}
