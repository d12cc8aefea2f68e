//! The events of a session's flows that the application has not taken yet.

use std::collections::VecDeque;

use super::event::{FlowEvent, RecvFlowId};

/// What a complete message is counted as while it waits for the application, besides its bytes.
pub(super) const MESSAGE_OVERHEAD: usize = 64;

/// Events in the order in which they happened. Nearly all sessions have none nearly always, so an empty queue takes the place of a pointer.
#[derive(Debug, Default)]
pub(super) struct EventQueue(Option<Box<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    events: VecDeque<FlowEvent>,
    /// Bytes of messages in `events`, with their overhead.
    bytes: usize,
}

impl EventQueue {
    /// Appends an event.
    pub(super) fn push(&mut self, event: FlowEvent) {
        let waiting = self.0.get_or_insert_default();
        waiting.bytes += bytes_of(&event);
        waiting.events.push_back(event);
    }

    /// Takes the first event.
    pub(super) fn pop(&mut self) -> Option<FlowEvent> {
        let waiting = self.0.as_deref_mut()?;
        let event = waiting.events.pop_front();
        waiting.bytes = waiting.bytes.saturating_sub(event.as_ref().map_or(0, bytes_of));
        if waiting.events.is_empty() {
            self.0 = None;
        }
        event
    }

    /// Bytes of the messages in the queue, with [`MESSAGE_OVERHEAD`] for each.
    pub(super) fn bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |waiting| waiting.bytes)
    }

    /// Drops the messages of a receiving flow. Its other events stay.
    pub(super) fn drop_messages_of(&mut self, flow: RecvFlowId) {
        let Some(waiting) = self.0.as_deref_mut() else { return };
        waiting.events.retain(|event| !matches!(event, FlowEvent::Message { flow: of, .. } if *of == flow));
        waiting.bytes = waiting.events.iter().map(bytes_of).sum();
        if waiting.events.is_empty() {
            self.0 = None;
        }
    }

    /// Nothing is reserved for events.
    #[cfg(test)]
    pub(super) fn is_bare(&self) -> bool {
        self.0.is_none()
    }
}

fn bytes_of(event: &FlowEvent) -> usize {
    match event {
        FlowEvent::Message { data, .. } => data.len() + MESSAGE_OVERHEAD,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::event::SendFlowId;

    fn message(flow: u64, length: usize) -> FlowEvent {
        FlowEvent::Message { flow: RecvFlowId(flow), sequence_number: 1, data: vec![7; length], gap: false }
    }

    #[test]
    fn bytes_are_counted_while_messages_wait_and_nothing_is_reserved_afterwards() {
        let mut queue = EventQueue::default();
        assert_eq!((queue.pop(), queue.bytes()), (None, 0));
        queue.push(FlowEvent::Closed { flow: SendFlowId(1) });
        queue.push(message(5, 100));
        queue.push(message(6, 10));
        queue.push(message(5, 1));
        assert_eq!(queue.bytes(), 111 + 3 * MESSAGE_OVERHEAD);
        assert_eq!(queue.pop(), Some(FlowEvent::Closed { flow: SendFlowId(1) }));
        queue.drop_messages_of(RecvFlowId(5));
        assert_eq!(queue.bytes(), 10 + MESSAGE_OVERHEAD);
        assert_eq!(queue.pop(), Some(message(6, 10)));
        assert!(queue.bytes() == 0 && queue.is_bare());
        queue.push(message(5, 100));
        queue.drop_messages_of(RecvFlowId(5));
        assert!(queue.is_bare());
        assert_eq!(size_of::<EventQueue>(), size_of::<usize>());
    }
}
