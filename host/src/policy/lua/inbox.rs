//! The events that wait for an instance.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::apps::message::AppEvent;

/// No room: the event was not taken.
#[derive(Debug, thiserror::Error)]
#[error("the application's queue is full")]
pub struct Full(
    /// The event.
    pub Box<AppEvent>,
);

/// A bounded queue. What ends something is always taken, since there is at most one of it for each thing begun.
pub(super) struct Inbox {
    events: Mutex<VecDeque<AppEvent>>,
    most: usize,
    arrived: Notify,
}

impl Inbox {
    pub(super) fn new(most: usize) -> Self {
        Self { events: Mutex::default(), most, arrived: Notify::new() }
    }

    fn events(&self) -> MutexGuard<'_, VecDeque<AppEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event at the end. Whoever waits is not woken by that.
    pub(super) fn push(&self, event: AppEvent) -> Result<(), Full> {
        let mut events = self.events();
        if events.len() >= self.most && !must_arrive(&event) {
            return Err(Full(Box::new(event)));
        }
        events.push_back(event);
        Ok(())
    }

    /// Wakes whoever waits for events.
    pub(super) fn wake(&self) {
        self.arrived.notify_one();
    }

    pub(super) fn pop(&self) -> Option<AppEvent> {
        self.events().pop_front()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events().is_empty()
    }

    /// Takes out the events that somebody waits for an answer to, unless they must arrive.
    pub(super) fn take_questions(&self) -> Vec<AppEvent> {
        let mut events = self.events();
        let (questions, rest) = events.drain(..).partition(is_question);
        *events = rest;
        questions.into()
    }

    /// Waits until it has been woken since the last wait.
    pub(super) async fn arrived(&self) {
        self.arrived.notified().await;
    }
}

fn must_arrive(event: &AppEvent) -> bool {
    matches!(
        event,
        AppEvent::Disconnect { .. }
            | AppEvent::GroupLeave { .. }
            | AppEvent::Answer { .. }
            | AppEvent::Stats { .. }
            | AppEvent::Reload
            | AppEvent::Stop
    )
}

/// Whether somebody waits for an answer.
pub(super) fn is_question(event: &AppEvent) -> bool {
    matches!(event, AppEvent::Call { .. } | AppEvent::PeerLookup(_) | AppEvent::Connect { .. })
}

#[cfg(test)]
mod tests {
    use rtmfp::SessionId;

    use super::*;
    use crate::apps::message::ClientId;

    #[test]
    fn the_end_of_things_arrives_even_when_the_queue_is_full() {
        let client = ClientId { worker: 0, session: SessionId::from_wire(1) };
        let moved = || AppEvent::FarAddressChange { client, address: "192.0.2.1:1".parse().unwrap() };
        let inbox = Inbox::new(2);
        inbox.push(moved()).unwrap();
        inbox.push(moved()).unwrap();
        assert!(matches!(inbox.push(moved()), Err(Full(event)) if matches!(*event, AppEvent::FarAddressChange { .. })));
        inbox.push(AppEvent::Disconnect { client }).unwrap();
        inbox.push(AppEvent::Stop).unwrap();
        assert!(inbox.take_questions().is_empty());
        let order: Vec<_> = std::iter::from_fn(|| inbox.pop()).collect();
        assert!(matches!(order[..], [_, _, AppEvent::Disconnect { .. }, AppEvent::Stop]), "{order:?}");
    }
}
