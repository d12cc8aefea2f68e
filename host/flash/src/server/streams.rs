//! Streams that a client creates.

mod handover;

use thin_vec::ThinVec;

use super::action::{Action, Irregularity};
use super::publications::Publishing;
use super::{CONTROL_STREAM, NetConnection};
use crate::amf::Value;
use crate::command::Command;

/// The streams of a connection. They are few, so that a list is faster than a map.
#[derive(Debug, Default)]
pub(super) struct Streams {
    list: ThinVec<Stream>,
    /// The number of the last publication.
    pub(super) last_publication: u64,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    sending: Sending,
    publishing: Option<Box<Publishing>>,
}

/// The server's flow for a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sending {
    None,
    Open,
    /// The client has rejected it.
    Rejected,
}

impl Streams {
    pub(super) fn exists(&self, id: u32) -> bool {
        self.list.iter().any(|stream| stream.id == id)
    }

    fn get(&mut self, id: u32) -> Option<&mut Stream> {
        self.list.iter_mut().find(|stream| stream.id == id)
    }

    pub(super) fn sending_rejected(&mut self, id: u32) {
        if let Some(stream) = self.get(id) {
            stream.sending = Sending::Rejected;
        }
    }

    /// Whether messages can be sent on the stream, and whether its flow has to be opened first.
    pub(super) fn open_sending(&mut self, id: u32) -> (bool, bool) {
        match self.get(id) {
            Some(stream) if stream.sending == Sending::None => {
                stream.sending = Sending::Open;
                (true, true)
            }
            Some(stream) => (stream.sending == Sending::Open, false),
            None => (false, false),
        }
    }

    /// Sets what the client publishes on a stream. Gives back what that was before.
    pub(super) fn set_publishing(&mut self, id: u32, publishing: Option<Box<Publishing>>) -> Option<Box<Publishing>> {
        std::mem::replace(&mut self.get(id)?.publishing, publishing)
    }

    /// What the client publishes, with the streams.
    pub(super) fn publishing(&mut self) -> impl Iterator<Item = (u32, &mut Publishing)> {
        self.list.iter_mut().filter_map(|stream| Some((stream.id, &mut **stream.publishing.as_mut()?)))
    }

    /// Creates a stream with the lowest free number, from 1.
    fn create(&mut self) -> u32 {
        let id = (1..).find(|id| !self.exists(*id)).unwrap_or(u32::MAX);
        self.list.push(Stream { id, sending: Sending::None, publishing: None });
        id
    }

    fn remove(&mut self, id: u32) -> Option<Stream> {
        let index = self.list.iter().position(|stream| stream.id == id)?;
        Some(self.list.swap_remove(index))
    }
}

impl NetConnection {
    pub(super) fn create_stream(&mut self, transaction: f64, actions: &mut Vec<Action>) {
        if self.streams.list.len() >= self.settings.max_streams {
            self.call_failed(transaction, "Too many streams.", actions);
            actions.push(Action::Report(Irregularity::TooManyStreams));
            return;
        }
        let id = self.streams.create();
        // Transaction 0 is answered, too: librtmfp sends it and waits.
        let result = Command::new("_result", transaction, vec![Value::Number(f64::from(id))]);
        self.send_own(CONTROL_STREAM, &result, actions);
    }

    pub(super) fn delete_stream(&mut self, argument: Option<&Value>, actions: &mut Vec<Action>) {
        let Some(number) = argument.and_then(Value::as_number) else { return };
        // The conversion saturates, and stream 0 is not in the list.
        let stream = number as u32;
        let Some(removed) = self.streams.remove(stream) else { return };
        actions.extend(removed.publishing.map(|publishing| Action::Unpublish(publishing.publication)));
        if removed.sending == Sending::Open {
            actions.push(Action::CloseFlow { stream });
        }
    }

    /// A command on the flow of a stream.
    pub(super) fn on_stream_command(&mut self, stream: u32, command: Command, actions: &mut Vec<Action>) {
        match command.name.as_str() {
            // With `false` the client stops what it has begun.
            "play" if command.arguments.first() == Some(&Value::Boolean(false)) => {}
            "publish" if command.arguments.first() == Some(&Value::Boolean(false)) => self.unpublish(stream, actions),
            "play" | "play2" => self.play(stream, &command.arguments, actions),
            "publish" if self.streams.exists(stream) => self.publish(stream, &command.arguments, actions),
            "closeStream" => self.unpublish(stream, actions),
            "publish" | "pause" | "pauseRaw" | "seek" | "receiveAudio" | "receiveVideo" => {}
            "deleteStream" => self.delete_stream(Some(&Value::Number(f64::from(stream))), actions),
            _ => self.refuse_method(&command.name, command.transaction, actions),
        }
    }
}
