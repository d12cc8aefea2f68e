//! Many requests at once, requests that are given up, and the end.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::far::ok;
use super::*;
use crate::http_requests::HttpOutcome;

/// Waits until something is so.
fn until(what: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !what() {
        assert!(Instant::now() < deadline, "it does not come to that");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn ten_thousand_requests_at_once_take_turns_and_delay_no_other_instance() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (current, highest) = (Arc::clone(&now), Arc::clone(&most));
    let busy = Far::serving(move |near| {
        while near.read().is_some() {
            highest.fetch_max(current.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(1));
            current.fetch_sub(1, Ordering::SeqCst);
            near.write(ok("x").as_bytes());
        }
    });
    let quiet = Far::answering(&ok("y"));
    let play = play("127.0.0.1");
    let (settings, url) = (application(&play.settings), busy.url());
    let all: Vec<_> = (0..10_000).map(|_| play.service.send(&play.owner, &settings, get(&url))).collect();
    let other = InstanceName::first("a", "v", "other");
    assert_eq!(text(&wait(play.service.send(&other, &settings, get(&quiet.url()))).unwrap()), "y");
    let results = wait(async {
        let mut results = Vec::new();
        for request in all {
            // The answer is dropped, so that the next request has its turn.
            results.push(request.await.map(|response| response.status));
        }
        results
    });
    let answered = results.iter().filter(|result| **result == Ok(200)).count();
    let refused = results.iter().filter(|result| matches!(result, Err(HttpFailure::Busy(_)))).count();
    assert_eq!(
        answered + refused,
        10_000,
        "{:?}",
        results.iter().find(|result| !matches!(result, Ok(_) | Err(HttpFailure::Busy(_))))
    );
    let HttpSettings { max_requests, max_queued_requests, .. } = play.settings;
    assert!(answered >= max_requests + max_queued_requests, "{answered}");
    assert!(refused > 0 && most.load(Ordering::SeqCst) <= max_requests, "{refused} {most:?}");
    assert_eq!(play.service.under_way(), (0, 0));
}

#[test]
fn an_answer_that_the_script_has_not_taken_counts_as_under_way() {
    let far = Far::answering(&ok("x"));
    let mut play = play("127.0.0.1");
    (play.settings.max_requests, play.settings.max_queued_requests) = (1, 0);
    let first = play.get(&far.url()).unwrap();
    assert!(matches!(play.get(&far.url()), Err(HttpFailure::Busy(_))));
    drop(first);
    assert!(play.get(&far.url()).is_ok());
}

#[test]
fn a_request_that_is_given_up_is_ended_and_makes_room() {
    let ended = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&ended);
    let silent = Far::serving(move |near| {
        near.drain();
        count.fetch_add(1, Ordering::SeqCst);
    });
    let far = Far::answering(&ok("x"));
    let mut play = play("127.0.0.1");
    play.settings.max_requests = 1;
    let settings = application(&play.settings);
    let first = play.service.send(&play.owner, &settings, get(&silent.url()));
    let queued = play.service.send(&play.owner, &settings, get(&silent.url()));
    let last = play.service.send(&play.owner, &settings, get(&far.url()));
    until(|| silent.connections() == 1);
    assert_eq!(play.service.under_way(), (1, 2));
    drop(queued);
    drop(first);
    until(|| ended.load(Ordering::SeqCst) == 1);
    assert_eq!(text(&wait(last).unwrap()), "x");
    assert_eq!(silent.connections(), 1, "the second was never sent");
    until(|| play.service.counters().get(HttpOutcome::Canceled) == 2);
    assert_eq!(play.service.under_way(), (0, 0));
}

#[test]
fn lookups_that_hang_keep_their_places_and_no_others() {
    let far = Far::answering(&ok("x"));
    let mut play = play("127.0.0.1, hanging.test");
    play.names.set("hanging.test", &[]);
    play.settings.max_requests = 2;
    play.settings.timeout = Duration::from_millis(100);
    for _ in 0..2 {
        assert!(play.problem("http://hanging.test/").contains("the host's name was being looked up"));
    }
    // The system's lookups cannot be ended: more requests of this instance would be more of them.
    assert!(play.problem(&far.url()).contains("other requests were before it"));
    assert_eq!(play.names.lookups().len(), 2);
    play.owner = InstanceName::first("a", "v", "other");
    play.settings.timeout = PATIENCE;
    assert_eq!(text(&play.get(&far.url()).unwrap()), "x");
}

#[test]
fn the_end_of_the_server_is_the_end_of_requests() {
    let silent = Far::serving(|near| near.drain());
    let play = play("127.0.0.1");
    let settings = application(&play.settings);
    let waiting = play.service.send(&play.owner, &settings, get(&silent.url()));
    until(|| silent.connections() == 1);
    play.service.stop();
    assert!(wait(waiting).unwrap_err().to_string().contains("the server stops"));
    assert!(play.problem(&silent.url()).contains("the server stops"));
    // One that has never sent a request has no thread to end.
    super::play("127.0.0.1").service.stop();
}
