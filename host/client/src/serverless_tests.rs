//! Endpoints without a server, on the sockets of this machine.

use std::time::Duration;

use introd_netgroup::member::GroupEvent;
use introd_netgroup::participant::Notice;
use introd_netgroup::{GroupSpecifier, Groupspec};

use super::*;

/// So long a test waits for what must happen.
const TIMEOUT: Duration = Duration::from_secs(60);

fn group() -> Groupspec {
    GroupSpecifier::new("servers").unwrap().with_authorizations().unwrap()
}

/// A member of the group.
fn member(name: &str, bind: &[&str]) -> Serverless {
    let sockets = bind.iter().map(|address| UdpSocket::bind(address.parse().unwrap(), BufferSizes::default()).unwrap());
    let mut endpoint = Serverless::new(Some(name), sockets.collect()).unwrap();
    assert!(endpoint.groups().join(&group()));
    endpoint
}

/// Drives two endpoints until this happens to the first.
async fn until(first: &mut Serverless, second: &mut Serverless, is_it: impl Fn(&Notice) -> bool) {
    let waiting = async {
        loop {
            while let Some((_, notice)) = first.groups().next_notice() {
                if is_it(&notice) {
                    return;
                }
            }
            tokio::select! {
                result = first.next() => drop(result.unwrap()),
                result = second.next() => drop(result.unwrap()),
            }
        }
    };
    tokio::time::timeout(TIMEOUT, waiting).await.expect("it happens in time");
}

#[tokio::test]
async fn members_find_each_other_by_name_exchange_messages_and_notice_an_orderly_end() {
    for bind in [&["127.0.0.1:0"][..], &["[::1]:0"], &["[::1]:0", "127.0.0.1:0"]] {
        let (mut a, mut b) = (member("a", bind), member("b", bind));
        let (a_id, b_id, at) = (a.id(), b.id(), b.bound());
        assert!(at.len() == bind.len() && at.iter().all(|address| address.port() != 0));
        a.groups().add_named(&group().digest(), "b", &at).unwrap();
        let connected = |peer| move |notice: &Notice| *notice == Notice::Event(GroupEvent::NeighborConnected(peer));
        until(&mut a, &mut b, connected(b_id)).await;
        until(&mut b, &mut a, connected(a_id)).await;
        let value = b"\x02\0\x01x".to_vec();
        b.groups().with_member(&group().digest(), |member| member.send_to_all_neighbors(&value)).unwrap();
        until(&mut a, &mut b, |notice| {
            matches!(notice, Notice::Event(GroupEvent::Directed { value: came, is_local: false, .. }) if *came == value)
        })
        .await;
        // The end of one is known to the other as soon as its packet is there.
        let noticed = async {
            let gone = Notice::Event(GroupEvent::NeighborDisconnected(b_id));
            while a.groups().next_notice().is_none_or(|(_, notice)| notice != gone) {
                a.next().await.unwrap();
            }
        };
        let ((), noticed) = tokio::join!(b.close(), tokio::time::timeout(TIMEOUT, noticed));
        noticed.expect("it is noticed in time");
        a.close().await;
    }
}
