//! Groups of many members hold together, with the built-in bootstrap.

mod overlay;

use std::time::Duration;

use introd_netgroup::GroupAddress;
use rtmfp::PeerId;

use super::Memberships;
use super::bootstrap::BootstrapSettings;
use overlay::{Happening, Overlay, SILENCE};

/// The seed; the environment variable `INTROD_SEED` replays another.
fn seed(default: u64) -> u64 {
    std::env::var("INTROD_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(default)
}

/// `count` members join while some leave or crash; in the end the rest is one overlay.
fn comings_and_goings(count: usize, over: Duration, settle: Duration, seed: u64) -> Overlay {
    let mut overlay = Overlay::new(seed);
    overlay.in_random_order(count, over, || Happening::Join);
    overlay.in_random_order(count / 10, over, || Happening::Go { crash: false });
    overlay.in_random_order(count / 10, over, || Happening::Go { crash: true });
    overlay.run_for(over + SILENCE + settle);
    overlay.assert_connected();
    overlay
}

#[test]
fn ten_members() {
    for number in 0..20 {
        comings_and_goings(10, Duration::from_secs(20), Duration::from_secs(30), seed(number));
    }
}

#[test]
fn a_hundred_members() {
    for number in 0..3 {
        comings_and_goings(100, Duration::from_secs(30), Duration::from_secs(30), seed(number));
    }
}

#[test]
fn five_hundred_members() {
    comings_and_goings(500, Duration::from_secs(60), Duration::ZERO, seed(5));
}

#[test]
fn two_thousand_members() {
    let overlay = comings_and_goings(2000, Duration::from_secs(30), Duration::ZERO, seed(5));
    // The allocator takes minutes to free millions of pieces in no order.
    std::mem::forget(overlay);
}

#[test]
fn a_posting_reaches_everybody_once() {
    let mut overlay = comings_and_goings(100, Duration::from_secs(10), Duration::from_secs(30), seed(7));
    let first = *overlay.members.keys().next().unwrap();
    overlay.tell(first, |member| {
        assert!(member.post(b"\x02\x00\x05hello").is_some());
        assert!(member.post(b"\x02\x00\x05hello").is_none(), "the same again");
    });
    overlay.run_for(Duration::from_secs(5));
    assert_eq!(overlay.postings, overlay.members.len() - 1, "seed {}", overlay.seed);
}

#[test]
fn without_the_server_the_overlay_heals() {
    let mut overlay = comings_and_goings(150, Duration::from_secs(20), Duration::from_secs(60), seed(9));
    // A third crashes at once; the server sends no hints.
    for _ in 0..overlay.members.len() / 3 {
        overlay.go(true);
    }
    overlay.server = Memberships::new(1, BootstrapSettings::default(), [3; 32]);
    let (no_member, now) = (PeerId([0; 32]), overlay.now);
    for (_, what) in overlay.happenings.iter_mut().filter(|(_, what)| matches!(what, Happening::GoneAtServer { .. })) {
        *what = Happening::Timeout { at: no_member, due: now };
    }
    overlay.run_for(Duration::from_secs(120));
    assert_eq!(overlay.parts().len(), 1, "seed {}", overlay.seed);
    // Neighbours on the ring have found each other across the gaps.
    let mut ring: Vec<_> = overlay.members.keys().map(|peer| (GroupAddress::of(peer), *peer)).collect();
    ring.sort_unstable();
    let next = ring.iter().zip(ring.iter().cycle().skip(1));
    let linked = next.filter(|(a, b)| overlay.members[&a.1].neighbors().any(|peer| peer == b.1)).count();
    assert_eq!(linked, ring.len(), "seed {}", overlay.seed);
}
