use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::admin::testing::Stage;

#[tokio::test]
async fn workers_are_asked_and_those_without_room_or_life_are_told_apart() {
    let mut stage = Stage::new(|_| ());
    stage.answer();
    let reports = stage.rooms.inspector.worker_reports().await;
    assert_eq!(reports.iter().flatten().map(|report| report.sessions).collect::<Vec<_>>(), [3, 3]);

    let mut stage = Stage::new(|_| ());
    while stage.mailboxes[0].try_send(Mail::Wake).is_ok() {}
    stage.mail.remove(1).close();
    let reports = stage.rooms.inspector.worker_reports().await;
    assert!(reports.len() == 2 && reports.iter().all(Option::is_none), "no room, and no worker");
    assert_eq!(stage.rooms.inspector.waiting_mail().collect::<Vec<_>>(), [4096, 0]);
    assert_eq!(stage.rooms.inspector.workers(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_does_not_answer_is_waited_for_a_second() {
    let stage = Stage::new(|_| ());
    let begun = tokio::time::Instant::now();
    assert!(stage.rooms.inspector.worker_reports().await.iter().all(Option::is_none));
    assert_eq!(begun.elapsed().as_secs(), 1);
    assert!(stage.rooms.inspector.client_report(SessionId::from_wire(5)).await.is_none());
    assert_eq!(begun.elapsed().as_secs(), 2);
    assert!(
        stage.rooms.inspector.client_report(SessionId::from_wire(9 << 26)).await.is_none(),
        "there is no such worker"
    );
    assert_eq!(begun.elapsed().as_secs(), 2);
}

#[tokio::test(start_paused = true)]
async fn actions_fill_half_of_a_mailbox_and_go_on_as_the_worker_takes_them() {
    let mut stage = Stage::new(|_| ());
    let member = |number| Member { session: SessionId::from_wire(number), peer: PeerId([1; 32]) };
    let many: Vec<Member> = (0..5000).map(member).collect();
    let mail = |Member { session, peer }| Mail::Disconnect { session, peer, by: "an administrator" };
    let sent = stage.rooms.inspector.send_to(&many, mail).await;
    assert_eq!(sent, Sent { sent: 2048, unsent: 5000 - 2048 });
    assert_eq!(stage.rooms.inspector.waiting_mail().collect::<Vec<_>>(), [2048, 0]);
    // A worker that works gets all.
    let mut taken = stage.mail.remove(0);
    let worker = tokio::spawn(async move {
        let mut count = 0;
        while count < 2048 + 5000 {
            assert!(matches!(taken.recv().await, Some(Mail::Disconnect { .. })));
            count += 1;
        }
    });
    assert_eq!(stage.rooms.inspector.send_to(&many, mail).await, Sent { sent: 5000, unsent: 0 });
    worker.await.unwrap();
    let nowhere = [member(9 << 26)];
    assert_eq!(stage.rooms.inspector.send_to(&nowhere, mail).await, Sent { sent: 0, unsent: 1 });
}

#[test]
fn members_are_in_order_and_bounded_and_those_that_wait_for_their_id_are_among_them() {
    let mut stage = Stage::new(|_| ());
    let sessions: Vec<_> = [3, 1, 2].map(|number| stage.client("rtmfp://host/app/room", 0, number)).to_vec();
    let other = stage.client("rtmfp://host/other", 1, 9);
    // It shows the id of another client.
    let copy = SessionId::from_wire(8);
    let directory = &stage.services.directory;
    let app = directory.lookup(&PeerId([1; 32])).unwrap().instance;
    directory.connect(PeerId([1; 32]), copy, app, ([192, 0, 2, 8], 5).into(), false);
    let found = |max, wanted: u16| {
        let members = stage.rooms.inspector.members(max, |instance| instance == wanted);
        members.iter().map(|member| member.session).collect::<Vec<_>>()
    };
    assert_eq!(found(10, app), [sessions[1], sessions[2], sessions[0], copy]);
    assert_eq!(found(2, app).len(), 2);
    assert_eq!(stage.rooms.inspector.members(10, |_| true).last().unwrap().session, other);
    let names = |host| {
        let instances = stage.rooms.inspector.instances_of("_defaultRoot_", host);
        instances.iter().map(|instance| instance.name().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names("_defaultVHost_"), ["app/room", "other/_definst_"]);
    assert!(names("elsewhere").is_empty());
}

#[test]
fn rates_come_from_the_last_two_samples() {
    let stage = Stage::new(|_| ());
    let (inspector, now) = (&stage.rooms.inspector, Instant::now());
    inspector.sample(now);
    assert_eq!(inspector.rates(), Rates::default());
    let counters = Arc::clone(&stage.services.counters);
    counters.worker(0).add_many(Counter::BytesIn, 5000);
    counters.worker(1).add_many(Counter::BytesOut, 10_000);
    inspector.sample(now + Duration::from_secs(5));
    assert_eq!((inspector.rates().bytes_in, inspector.rates().bytes_out), (1000, 2000));
    inspector.sample(now + Duration::from_secs(10));
    assert_eq!((inspector.rates().bytes_in, inspector.rates().bytes_out), (0, 0));
}
