//! The token table and the queue of replies, under every interleaving of their threads.
//!
//! The sources are those of the host, compiled here with the model checker's locks and atomics in place of the standard library's.

#![allow(dead_code, unreachable_pub, reason = "the host uses more of it than the model")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

/// What the sources take from `super::sync`.
mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};
}

#[path = "../../host/policy/src/reply_queue.rs"]
mod reply_queue;
#[path = "../../host/native/src/tokens.rs"]
mod tokens;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use reply_queue::ReplyQueue;
use tokens::Tokens;

#[test]
fn a_token_is_taken_once() {
    loom::model(|| {
        let tokens = Arc::new(Tokens::new(1));
        let token = tokens.insert(1, "verdict").unwrap();
        let takers: Vec<_> = (0..2)
            .map(|_| {
                let tokens = Arc::clone(&tokens);
                thread::spawn(move || tokens.take(1, token).is_some())
            })
            .collect();
        // The worker cancels at the same time.
        let mut taken = usize::from(tokens.take(1, token).is_some());
        for taker in takers {
            taken += usize::from(taker.join().unwrap());
        }
        assert_eq!(taken, 1);
        assert_eq!(tokens.count(1), 0);
    });
}

#[test]
fn a_late_completion_does_not_take_what_came_after() {
    loom::model(|| {
        // One slot: it is used again at once.
        let tokens = Arc::new(Tokens::new(1));
        let first = tokens.insert(1, 1).unwrap();
        let late = {
            let tokens = Arc::clone(&tokens);
            thread::spawn(move || tokens.take(1, first))
        };
        let cancelled = tokens.take(1, first);
        let second = tokens.insert(1, 2);
        let late = late.join().unwrap();
        assert!(cancelled.is_some() != late.is_some());
        assert!(late.is_none_or(|what| what == 1));
        // The one slot was free in any case: somebody had taken the first.
        let second = second.expect("a free slot");
        assert_ne!(second, first);
        assert_eq!(tokens.take(2, second), None, "nobody else's");
        assert_eq!(tokens.take(1, second), Some(2));
    });
}

/// A worker's sleep: it is woken, or it is not asleep yet and does not fall asleep.
struct Bell(AtomicBool);

#[test]
fn no_verdict_is_lost_and_the_reader_is_woken() {
    loom::model(|| {
        let queue = Arc::new(ReplyQueue::default());
        let bell = Arc::new(Bell(AtomicBool::new(false)));
        let writers: Vec<_> = (0..2)
            .map(|number| {
                let (queue, bell) = (Arc::clone(&queue), Arc::clone(&bell));
                thread::spawn(move || {
                    if queue.push(number) {
                        bell.0.store(true, Ordering::Release);
                    }
                })
            })
            .collect();
        let mut taken = queue.take(Vec::new());
        for writer in writers {
            writer.join().unwrap();
        }
        // What the reader has not seen by now, it is woken for.
        if bell.0.load(Ordering::Acquire) {
            taken.extend(queue.take(Vec::new()));
        }
        taken.sort_unstable();
        assert_eq!(taken, [0, 1]);
    });
}

#[test]
fn a_verdict_pushed_before_a_take_is_seen_by_it() {
    loom::model(|| {
        let queue = Arc::new(ReplyQueue::default());
        let writer = {
            let queue = Arc::clone(&queue);
            thread::spawn(move || queue.push(1))
        };
        let early = queue.take(Vec::new());
        assert!(writer.join().unwrap());
        let late = queue.take(Vec::new());
        assert_eq!(early.len() + late.len(), 1);
        assert_eq!(queue.take(Vec::new()), []);
    });
}
