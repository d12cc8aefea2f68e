//! Members on the loopback interface, which know no addresses of each other.

use std::time::Duration;

use introd_netgroup::GroupSpecifier;
use introd_netgroup::discovery::{ANNOUNCEMENT_LEN, Announcement, AnnouncementKey};
use introd_netgroup::member::GroupEvent;
use introd_netgroup::participant::Notice;
use introd_udp::{BufferSizes, UdpSocket};

use super::*;
use crate::Serverless;

/// So long a test waits for what must happen.
const TIMEOUT: Duration = Duration::from_secs(60);

/// A multicast address with a port that no other program uses.
fn multicast(last: u8) -> SocketAddr {
    let free = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), BufferSizes::default()).unwrap();
    SocketAddr::from(([239, 255, 78, last], free.local_address().port()))
}

fn spec(name: &str, addresses: &[SocketAddr], is_enabled: bool) -> Groupspec {
    let mut spec = GroupSpecifier::new(name).unwrap();
    spec.ip_multicast_member_updates_enabled = is_enabled;
    addresses.iter().for_each(|address| spec.add_ip_multicast_address(*address, None).unwrap());
    spec.with_authorizations().unwrap()
}

fn member(group: &Groupspec) -> Serverless {
    let socket = UdpSocket::bind("127.0.0.1:0".parse().unwrap(), BufferSizes::default()).unwrap();
    let mut endpoint = Serverless::new(None, vec![socket]).unwrap();
    assert!(endpoint.groups().join(group));
    endpoint
}

fn loopback() -> InterfaceAddress {
    let all = interface_addresses().unwrap();
    *all.iter().find(|known| known.address == "127.0.0.1:0".parse().unwrap()).unwrap()
}

fn send(to: SocketAddr, datagram: &[u8]) {
    send_multicast(loopback().address, loopback().interface, to, datagram).unwrap();
}

/// Drives the members until the first one that is given has this many neighbours.
async fn until_neighbors(members: &mut [Serverless], group: &Groupspec, count: usize) {
    let waiting = async {
        let mut found = 0;
        loop {
            while let Some((of, notice)) = members[0].groups().next_notice() {
                found += usize::from(
                    of == group.digest() && matches!(notice, Notice::Event(GroupEvent::NeighborConnected(_))),
                );
            }
            if found >= count {
                return;
            }
            next_of_any(members).await;
        }
    };
    tokio::time::timeout(TIMEOUT, waiting).await.expect("they find each other in time");
}

/// Drives the members until something has happened to one of them.
async fn next_of_any(members: &mut [Serverless]) {
    let mut all: Vec<_> = members.iter_mut().map(|member| Box::pin(member.next())).collect();
    poll_fn(|context| {
        let is_any = all.iter_mut().any(|next| match next.as_mut().poll(context) {
            Poll::Ready(result) => result.map(drop).is_ok(),
            Poll::Pending => false,
        });
        if is_any { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[tokio::test]
async fn members_that_know_no_addresses_become_neighbours_and_another_group_does_not() {
    let address = multicast(1);
    let (own, other) = (spec("g", &[address], true), spec("h", &[address], true));
    let mut members = [&own, &own, &own, &other].map(member);
    until_neighbors(&mut members, &own, 2).await;
    let stranger = members[3].id();
    assert!(members[0].groups().member(&own.digest()).unwrap().neighbors().all(|peer| peer != stranger));
    assert_eq!(members[3].groups().member(&other.digest()).unwrap().neighbor_count(), 0);
    // Who hears an announcement connects: a member may have got all its neighbours before it has heard any.
    let mut counted = DiscoveryCounters::default();
    members.iter_mut().for_each(|member| counted.add(member.groups().take_counters().discovery));
    assert!(counted.sent > 0 && counted.accepted > 0 && counted.forged == 0, "{counted:?}");
}

#[tokio::test]
async fn what_is_forged_or_sent_again_is_counted_and_disturbs_nobody() {
    let address = multicast(2);
    let group = spec("g", &[address], true);
    let mut members = [member(&group), member(&group)];
    until_neighbors(&mut members, &group, 1).await;
    members[0].groups().take_counters();
    let key = AnnouncementKey::new(&group);
    let (peer, unix) = (PeerId([7; 32]), unix_milliseconds());
    let right = |sent: u64| key.write(&Announcement { sent, peer, port: 9 }, loopback().address.ip());
    let mut forged = right(unix);
    forged[ANNOUNCEMENT_LEN - 1] ^= 1;
    let past = right(unix - 3_600_000);
    // No more at a time than the kernel has room for.
    let (mut counted, mut sent) = (DiscoveryCounters::default(), 0);
    while sent < 10_000 {
        for _ in 0..50 {
            send(address, &forged);
            send(address, &past);
            send(address, b"something else");
        }
        sent += 50;
        let enough = |counted: &DiscoveryCounters| counted.foreign >= sent;
        let reading = async {
            while !enough(&counted) {
                // The discovery itself returns only for what is believed.
                let _ = tokio::time::timeout(Duration::from_millis(1), members[0].next()).await;
                counted.add(members[0].groups().take_counters().discovery);
            }
        };
        tokio::time::timeout(TIMEOUT, reading).await.expect("what was sent is read");
    }
    assert_eq!(counted.accepted, 0);
    assert!(counted.forged >= 400 && counted.replayed >= 400, "{counted:?}");
    // Its own announcements have come as well.
    let refused = counted.forged + counted.replayed + counted.over_rate;
    assert!((20_000..=20_000 + counted.sent).contains(&refused), "{counted:?}");
    assert_eq!(members[0].groups().member(&group.digest()).unwrap().neighbor_count(), 1);
}

#[tokio::test]
async fn a_group_that_does_not_ask_for_it_has_no_sockets_and_sends_nothing() {
    let address = multicast(3);
    let mut discovery = LocalDiscovery::default();
    let bound = || std::iter::once("127.0.0.1:9".parse().unwrap());
    for (addresses, is_enabled) in [(&[address][..], false), (&[], true), (&[], false)] {
        discovery.join(&spec("g", addresses, is_enabled), PeerId([1; 32]), bound());
    }
    assert!(discovery.groups.is_empty());
    // One that asks has them until it is left.
    let group = spec("g", &[address], true);
    discovery.join(&group, PeerId([1; 32]), bound());
    let began = async {
        while discovery.groups[0].receivers.is_empty() {
            let _ = tokio::time::timeout(Duration::from_millis(10), discovery.next()).await;
        }
    };
    tokio::time::timeout(TIMEOUT, began).await.expect("it begins");
    discovery.leave(&group.digest());
    assert!(discovery.groups.is_empty());
    let counted = discovery.take_counters();
    assert!(counted.sent > 0, "what it has counted is not lost: {counted:?}");
    assert_eq!(discovery.take_counters(), DiscoveryCounters::default());
}
