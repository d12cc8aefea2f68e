//! What a client publishes to the server. The server passes no media on: it drops what is published, so that a program works that publishes to
//! its server as well as to its peers. The owner of the connection decides whether it may.

use super::NetConnection;
use super::action::{Action, Publication, abridged};
use crate::amf::Value;
use crate::command::{Command, Level, info};

/// How many characters of the name and the kind of a publication are kept.
const MAX_TEXT: usize = 1024;

/// The publication on a stream.
#[derive(Debug)]
pub(super) struct Publishing {
    pub(super) publication: Publication,
    /// Whether the owner has allowed it.
    pub(super) is_allowed: bool,
}

impl NetConnection {
    /// `publish` on a stream that exists.
    pub(super) fn publish(&mut self, stream: u32, arguments: &[Value], actions: &mut Vec<Action>) {
        let text = |place: usize| {
            arguments.get(place).and_then(Value::as_str).map(|text| text.chars().take(MAX_TEXT).collect())
        };
        self.unpublish(stream, actions);
        self.streams.last_publication += 1;
        let number = self.streams.last_publication;
        let kind = text(1).filter(|kind: &String| !kind.is_empty()).unwrap_or_else(|| "live".to_owned());
        let publication = Publication { number, name: text(0).unwrap_or_default(), kind };
        let publishing = Publishing { publication: publication.clone(), is_allowed: false };
        self.streams.set_publishing(stream, Some(Box::new(publishing)));
        actions.push(Action::Publish(publication));
    }

    /// Allows what an [`Action::Publish`] has asked for. False if the client does not want it any more.
    pub fn allow_publication(&mut self, number: u64, actions: &mut Vec<Action>) -> bool {
        if !self.is_connected() {
            return false;
        }
        let waiting = self.streams.publishing().find(|(_, publishing)| publishing.waits_for(number));
        let Some((stream, publishing)) = waiting else { return false };
        publishing.is_allowed = true;
        let name = abridged(&publishing.publication.name);
        let description = format!("{name} is now published.");
        self.stream_status(stream, Level::Status, "NetStream.Publish.Start", description, name, actions);
        true
    }

    /// Refuses what an [`Action::Publish`] has asked for. It does nothing if the client does not want it any more.
    pub fn refuse_publication(&mut self, number: u64, actions: &mut Vec<Action>) {
        if !self.is_connected() {
            return;
        }
        let waiting = self.streams.publishing().find(|(_, publishing)| publishing.waits_for(number));
        let Some((stream, publishing)) = waiting else { return };
        let name = abridged(&publishing.publication.name);
        self.streams.set_publishing(stream, None);
        let description = format!("The application does not allow to publish {name}.");
        // The code by which clients know that they may not publish.
        self.stream_status(stream, Level::Error, "NetStream.Publish.BadName", description, name, actions);
    }

    /// Ends the client's publication on a stream, if there is one.
    pub(super) fn unpublish(&mut self, stream: u32, actions: &mut Vec<Action>) {
        let Some(publishing) = self.streams.set_publishing(stream, None) else { return };
        let Publishing { publication, is_allowed } = *publishing;
        let name = abridged(&publication.name);
        actions.push(Action::Unpublish(publication));
        if is_allowed {
            let description = format!("{name} is now unpublished.");
            self.stream_status(stream, Level::Status, "NetStream.Unpublish.Success", description, name, actions);
        }
    }

    /// Answers a stream that the client wants to play: there is none.
    pub(super) fn play(&mut self, stream: u32, arguments: &[Value], actions: &mut Vec<Action>) {
        // AMS has this code and text for a stream that does not exist.
        let name = abridged(arguments.first().and_then(Value::as_str).unwrap_or_default());
        let description = format!("Failed to play {name}; stream not found.");
        self.stream_status(stream, Level::Error, "NetStream.Play.StreamNotFound", description, name, actions);
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

impl Publishing {
    fn waits_for(&self, number: u64) -> bool {
        self.publication.number == number && !self.is_allowed
    }
}
