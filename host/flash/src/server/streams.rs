//! Streams that a client creates. The server passes no media on: there is nothing to `play`, and what a client publishes is accepted and
//! dropped, so that a program works that publishes to its server as well as to its peers.

use thin_vec::ThinVec;

use super::action::{Action, Irregularity, abridged};
use super::{CONTROL_STREAM, NetConnection};
use crate::amf::Value;
use crate::command::{Command, Level, info};

/// The streams of a connection. They are few, so that a list is faster than a map.
#[derive(Debug, Default)]
pub(super) struct Streams {
    list: ThinVec<Stream>,
}

#[derive(Debug)]
struct Stream {
    id: u32,
    sending: Sending,
    /// The name under which the client publishes on it.
    publishing: Option<Box<str>>,
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

    fn set_publishing(&mut self, id: u32, name: Option<Box<str>>) -> Option<Box<str>> {
        let stream = self.get(id)?;
        std::mem::replace(&mut stream.publishing, name)
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
        if self.streams.remove(stream).is_some_and(|stream| stream.sending == Sending::Open) {
            actions.push(Action::CloseFlow { stream });
        }
    }

    /// A command on the flow of a stream.
    pub(super) fn on_stream_command(&mut self, stream: u32, command: Command, actions: &mut Vec<Action>) {
        let name = || abridged(command.arguments.first().and_then(Value::as_str).unwrap_or_default());
        match command.name.as_str() {
            // With `false` the client stops what it has begun.
            "play" if command.arguments.first() == Some(&Value::Boolean(false)) => {}
            "publish" if command.arguments.first() == Some(&Value::Boolean(false)) => self.unpublish(stream, actions),
            "play" | "play2" => {
                // AMS has this code and text for a stream that does not exist.
                let name = name();
                let description = format!("Failed to play {name}; stream not found.");
                self.stream_status(stream, Level::Error, "NetStream.Play.StreamNotFound", description, name, actions);
            }
            "publish" if self.streams.exists(stream) => {
                let name = name();
                let description = format!("{name} is now published.");
                self.unpublish(stream, actions);
                self.streams.set_publishing(stream, Some(name.as_str().into()));
                actions.push(Action::Publish { name: name.clone() });
                self.stream_status(stream, Level::Status, "NetStream.Publish.Start", description, name, actions);
            }
            "closeStream" => self.unpublish(stream, actions),
            "publish" | "pause" | "pauseRaw" | "seek" | "receiveAudio" | "receiveVideo" => {}
            "deleteStream" => self.delete_stream(Some(&Value::Number(f64::from(stream))), actions),
            _ => self.refuse_method(&command.name, command.transaction, actions),
        }
    }

    /// Ends the client's publication on a stream, if there is one.
    fn unpublish(&mut self, stream: u32, actions: &mut Vec<Action>) {
        if let Some(name) = self.streams.set_publishing(stream, None) {
            let description = format!("{name} is now unpublished.");
            let code = "NetStream.Unpublish.Success";
            self.stream_status(stream, Level::Status, code, description, name.into(), actions);
        }
    }

    fn stream_status(
        &mut self,
        stream: u32,
        level: Level,
        code: &str,
        description: String,
        details: String,
        actions: &mut Vec<Action>,
    ) {
        let mut info = info(level, code, description);
        if let Value::Object(object) = &mut info {
            object.properties.push(("details".to_owned(), details.into()));
        }
        self.send_own(stream, &Command::new("onStatus", 0.0, vec![info]), actions);
    }
}
