//! The verdict that asks for a relay, in C and in Rust.

use std::time::Duration;

use introd_plugin::abi::{INTROD_ABI_MAJOR, INTROD_ABI_MINOR};
use introd_policy::{RelayTerms, RelayVerdict, Reply, Verdict};
use introd_tests::libraries::library;
use introd_tests::waiting::eventually;
use rtmfp::PeerId;

use crate::bench::{Bench, c_plugin};

fn relay(peer: Option<PeerId>, bytes_per_second: Option<u64>, milliseconds: Option<u64>) -> Verdict {
    let lifetime = milliseconds.map(Duration::from_millis);
    Verdict::Relay(RelayVerdict { peer, terms: RelayTerms { bytes_per_second, lifetime } })
}

#[test]
fn a_plugin_in_c_asks_for_a_relay_at_once_or_later_with_limits_or_without() {
    let bench = Bench::new(c_plugin("relaying.c", "relaying", &[]), &[]);
    assert_eq!(bench.instance.library().abi(), (INTROD_ABI_MAJOR, INTROD_ABI_MINOR));
    assert_eq!(bench.verdict(0), relay(None, None, None));
    assert_eq!(bench.verdict(1), relay(None, Some(64_000), Some(60_000)));
    assert_eq!(bench.verdict(2), relay(Some(PeerId([9; 32])), None, None));
    assert_eq!(bench.pending(3).1, [relay(None, None, Some(1))]);
    assert_eq!(bench.verdict(4), relay(None, None, None), "what stands behind the end of a verdict is not read");
}

#[test]
fn a_plugin_in_rust_asks_for_a_relay_at_once_or_later_with_limits_or_without() {
    let target = PeerId(std::array::from_fn(|place| if place == 0 { 5 } else { 0 }));
    let id = target.to_string();
    for (verdict, named, expected) in [
        ("relay", "", relay(None, None, None)),
        ("relay 64000", "", relay(None, Some(64_000), None)),
        ("relay 64000 60000", id.as_str(), relay(Some(target), Some(64_000), Some(60_000))),
        ("relay 0 0", "", relay(None, None, Some(1))),
    ] {
        let mut elements = vec![("lookup", verdict)];
        if !named.is_empty() {
            elements.push(("target", named));
        }
        let bench = Bench::new(library("puppet"), &elements);
        assert_eq!(bench.verdict(5), expected, "{verdict}");
        elements.push(("after", "1"));
        let bench = Bench::new(library("puppet"), &elements);
        bench.ask(5);
        let mut replies = Vec::new();
        eventually("there is a verdict", || {
            replies.extend(bench.replies());
            !replies.is_empty()
        });
        let replies: Vec<_> = replies.into_iter().map(|(_, reply)| reply).collect();
        assert_eq!(replies, [Reply::Verdict(expected)], "{verdict}, later");
    }
}
