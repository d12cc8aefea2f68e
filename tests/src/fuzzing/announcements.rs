//! Datagrams that come to a multicast address of a group, announcements of its members among them: what is believed is what a plain model
//! believes.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use introd_netgroup::discovery::{ANNOUNCEMENT_LEN, Announcement, AnnouncementKey, Discovery, MAX_SKEW};
use introd_netgroup::{GroupSpecifier, Groupspec};
use rtmfp::PeerId;

use super::input::Input;

/// When everything begins, in milliseconds since 1970.
const BEGIN: u64 = 1_700_000_000_000;

/// Takes the bytes for a sequence of datagrams, and the time that passes between them.
pub fn run(bytes: &[u8]) {
    let group = group("g");
    let keys = [AnnouncementKey::new(&group), AnnouncementKey::new(&self::group("h"))];
    let (start, near) = (Instant::now(), PeerId([0; 32]));
    let mut discovery = Discovery::new(start, &group, near, [1; 32]).expect("it is asked for");
    let mut input = Input::new(bytes);
    let mut last: BTreeMap<(PeerId, SocketAddr), u64> = BTreeMap::new();
    let (mut passed, mut unix, mut came, mut believed) = (Duration::ZERO, BEGIN, 0, 0);
    while !input.is_empty() {
        let choice = input.u8();
        let source: SocketAddr = match choice >> 4 & 3 {
            0 => ([192, 0, 2, input.u8() % 4], 7).into(),
            1 => ([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(input.u8() % 4)], 7).into(),
            2 => ([0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0200 | u16::from(input.u8() % 4)], 7).into(),
            _ => ([0xfe80, 0, 0, 0, 0, 0, 0, 1], 7).into(),
        };
        let (datagram, expected) = match choice & 15 {
            // Time passes, and clocks are set.
            0 => {
                passed += Duration::from_millis(input.number() % 100_000);
                continue;
            }
            1 => {
                unix = if input.flag() {
                    unix.saturating_add(input.number())
                } else {
                    unix.saturating_sub(input.number())
                };
                continue;
            }
            // Anything, also with the beginning of an announcement of the group.
            2 => (input.string().to_vec(), None),
            3 => {
                let mut datagram = keys[0].write(&announcement(&mut input, unix), source.ip()).to_vec();
                datagram.truncate(12);
                datagram.extend(input.string());
                (datagram, None)
            }
            // Of a member, as it is, changed, from another address, of another group.
            4..=11 => {
                let said = announcement(&mut input, unix);
                let is_sensible = said.port != 0 && said.peer != near;
                (keys[0].write(&said, source.ip()).to_vec(), is_sensible.then_some(said))
            }
            12 | 13 => {
                let mut datagram = keys[0].write(&announcement(&mut input, unix), source.ip());
                datagram[input.below(ANNOUNCEMENT_LEN)] ^= 1 << input.below(8);
                (datagram.to_vec(), None)
            }
            14 => (keys[0].write(&announcement(&mut input, unix), "192.0.2.77".parse().unwrap()).to_vec(), None),
            _ => (keys[1].write(&announcement(&mut input, unix), source.ip()).to_vec(), None),
        };
        came += 1;
        let got = discovery.receive(start + passed, unix, 0, source, &datagram);
        let expected = expected.map(|said| {
            let mut address = source;
            address.set_port(said.port);
            (said, address)
        });
        let is_new = expected.is_some_and(|(said, address)| {
            let is_now = u128::from(said.sent.abs_diff(unix)) <= MAX_SKEW.as_millis();
            is_now && last.get(&(said.peer, address)).is_none_or(|last| *last < said.sent)
        });
        match got {
            Some((peer, address)) => {
                let (said, at) = expected.expect("it was announced");
                assert!((peer, address) == (said.peer, at) && is_new);
                last.insert((peer, address), said.sent);
                believed += 1;
            }
            // There is room and time for as many as one input has.
            None => assert!(!is_new || came > 1000, "a member is not heard"),
        }
    }
    let counted = discovery.take_counters();
    assert_eq!(counted.accepted, believed);
    let refused = counted.foreign + counted.forged + counted.replayed + counted.over_rate;
    // What comes from this member itself is not counted.
    assert!(believed + refused <= came);
    let text = String::from_utf8_lossy(bytes);
    if let Ok(group) = Groupspec::parse(&text) {
        assert!(group.multicast_addresses().all(|read| read.address.ip().is_multicast() && read.address.port() != 0));
    }
}

/// A groupspec that asks for discovery.
fn group(name: &str) -> Groupspec {
    let mut group = GroupSpecifier::new(name).unwrap();
    group.ip_multicast_member_updates_enabled = true;
    group.add_ip_multicast_address("224.0.0.254:30000".parse().unwrap(), None).unwrap();
    group.with_authorizations().unwrap()
}

/// What a member says, at about this time.
fn announcement(input: &mut Input<'_>, unix: u64) -> Announcement {
    let (before, by) = (input.flag(), input.number());
    let sent = if before { unix.saturating_sub(by) } else { unix.saturating_add(by) };
    Announcement { sent, peer: PeerId([input.u8() % 8; 32]), port: u16::from(input.u8() % 4) }
}
