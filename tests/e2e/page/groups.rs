//! A group is shown as a ring.

use std::collections::BTreeSet;
use std::sync::Arc;

use introd_netgroup::channel::join;
use introd_tests::program::{Files, Server};
use tokio::task::JoinSet;

use super::browser_at;
use crate::harness::browser::meanwhile;
use crate::harness::members::{Member, digest};

#[tokio::test]
async fn a_group_is_a_ring_of_its_members() {
    let files = Files::new();
    let server = Server::administered(files.path(), 2);
    let group = digest("chess");
    let (mut members, mut expected) = (JoinSet::new(), BTreeSet::new());
    for number in 0..5 {
        let mut member = Member::joined(&server, number, &join(&group)).await;
        expected.insert(member.client.id().to_string()[..12].to_owned());
        members.spawn(async move { member.client.stay().await });
    }
    let mut leaver = Member::joined(&server, 5, &join(&group)).await;
    expected.insert(leaver.client.id().to_string()[..12].to_owned());
    let browser = browser_at(server.admin[0], "#/groups").await;
    let digest = group.to_string();
    let own = Arc::clone(&browser);
    let looking = meanwhile(move || {
        browser.wait_for_text("main tbody th", &digest[..12]);
        browser.click("main tbody th a");
        browser.wait_for_text("main p.id", &digest);
        browser.wait("document.querySelectorAll('.ring .dot').length === 6");
        assert_eq!(browser.count(".ring .link"), 6 * 3);
        browser.wait("document.querySelectorAll('main tbody th a').length === 6");
        let shown =
            browser.texts("main tbody th").into_iter().map(|text| text[..12].to_owned()).collect::<BTreeSet<_>>();
        assert_eq!(shown, expected);
        // In the order of the ring, and each dot at its place: the first position is the least.
        let positions = browser.texts("main tbody td:nth-child(2)");
        assert!(positions.is_sorted(), "{positions:?}");
        let label = browser.value("document.querySelector('.ring').getAttribute('aria-label')");
        assert!(label.as_str().unwrap().starts_with("A ring with 6 members"), "{label}");
    });
    tokio::select! {
        () = looking => (),
        failure = leaver.client.stay() => panic!("{failure}"),
    }
    // One leaves, and its dot goes.
    leaver.client.close().await;
    meanwhile(move || {
        own.wait("document.querySelectorAll('.ring .dot').length === 5");
        own.wait("document.querySelectorAll('main tbody th a').length === 5");
        assert_eq!(own.complaints(), Vec::<String>::new());
    })
    .await;
    assert!(members.try_join_next().is_none(), "the others are still there");
}

/// A ring of more members than can be told apart is thinned: the dots stand for all of them, at their places.
#[tokio::test]
async fn a_large_ring_is_thinned() {
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let browser = browser_at(server.admin[0], "").await;
    meanwhile(move || {
        let script = "(async () => {
            const { dots, fraction } = await import('/page/ring.js');
            const member = (number) => ({ peer: String(number), position: number.toString(16).padStart(4, '0').padEnd(64, '0') });
            const few = dots(Array.from({ length: 240 }, (_, number) => member(number * 273)));
            const many = dots(Array.from({ length: 65536 }, (_, number) => member(number)));
            window.found = {
                few: few.length,
                single: few.every(({ count }) => count === 1),
                many: many.length,
                all: many.reduce((sum, { count }) => sum + count, 0),
                half: fraction('8'.padEnd(64, '0')),
                last: fraction('f'.repeat(64)) < 1,
            };
        })()";
        browser.value(script);
        let found = browser.wait("window.found");
        let expected =
            serde_json::json!({ "few": 240, "single": true, "many": 240, "all": 65536, "half": 0.5, "last": true });
        assert_eq!(found, expected);
    })
    .await;
}
