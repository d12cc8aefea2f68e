//! What clients publish to the server. It passes no media on, but the script decides whether they may.

use std::rc::Rc;

use introd_flash::server::Publication;
use introd_policy::message::{AppEvent, ClientCommand};
use mlua::{MultiValue, Table, Value};

use super::Runtime;
use crate::api::script::Purpose;
use crate::engine::failure::Failure;
use crate::instance::item::InboxItem;
use crate::instance::roster::{Phase, Publishing, RosterMember};

impl Runtime {
    /// A client wants to publish. It may, unless `onPublish` returns false or fails.
    pub(super) fn publish(&mut self, member: &Rc<RosterMember>, number: u64, publication: Publication) {
        if !member.is_accepted() {
            self.refuse_publication(member, number, publication.number);
            return;
        }
        let handler = self.script.handler("onPublish");
        let id = publication.number;
        let stream = self.stream(&publication);
        member.publications.borrow_mut().push(Publishing { publication, is_allowed: false, is_wanted: true });
        let Some(handler) = handler else {
            self.publication_decided(member, number, id, Ok(MultiValue::new()));
            return;
        };
        let arguments = self.object(member).and_then(|object| Some([Value::Table(object), Value::Table(stream?)]));
        let Some(arguments) = arguments else {
            member.publications.borrow_mut().retain(|known| known.publication.number != id);
            self.refuse_publication(member, number, id);
            return;
        };
        let purpose = Purpose::Publish { member: Rc::clone(member), number, publication: id };
        let progress = self.script.start(purpose, &handler, arguments.into_iter().collect());
        self.go_on(progress);
    }

    /// `onPublish` has ended.
    pub(super) fn publication_decided(
        &mut self,
        member: &Rc<RosterMember>,
        number: u64,
        publication: u64,
        result: Result<MultiValue, Failure>,
    ) {
        let is_allowed = match &result {
            Ok(values) => !matches!(values.front(), Some(Value::Boolean(false))),
            Err(failure) => {
                self.report("onPublish", failure);
                false
            }
        };
        let place = member.publications.borrow().iter().position(|known| known.publication.number == publication);
        let mut publications = member.publications.borrow_mut();
        match place.and_then(|place| publications.get_mut(place)) {
            Some(known) if known.is_wanted => {
                if is_allowed && self.instance.requests.take(number).is_some() {
                    known.is_allowed = true;
                    drop(publications);
                    self.instance.roster.borrow().note_publications(member);
                    let client = member.id;
                    self.instance.send(ClientCommand::Publish { client, publication, is_allowed });
                    return;
                }
                publications.retain(|known| known.publication.number != publication);
                drop(publications);
                self.refuse_publication(member, number, publication);
            }
            // The client has stopped meanwhile: the script has yet to be told so.
            Some(known) => {
                let ended = known.publication.clone();
                publications.retain(|known| known.publication.number != publication);
                drop(publications);
                self.instance.requests.take(number);
                if is_allowed && member.phase.get() != Phase::Gone {
                    self.tell_unpublished(member, &ended);
                }
            }
            // It has disconnected.
            None => drop(self.instance.requests.take(number)),
        }
    }

    /// A client wants a publication no more.
    pub(super) fn unpublished(&mut self, member: &Rc<RosterMember>, publication: &Publication) {
        let mut publications = member.publications.borrow_mut();
        let place = publications.iter().position(|known| known.publication.number == publication.number);
        match place.and_then(|place| publications.get_mut(place)) {
            // `onPublish` still waits.
            Some(known) if !known.is_allowed => known.is_wanted = false,
            _ => {
                publications.retain(|known| known.publication.number != publication.number);
                drop(publications);
                self.instance.roster.borrow().note_publications(member);
                self.tell_unpublished(member, publication);
            }
        }
    }

    /// The ends of what a client publishes that disconnects, as far as the script wants to be told.
    pub(super) fn last_publications(&self, member: &RosterMember) -> Vec<InboxItem> {
        let publications = member.publications.take();
        if self.script.handler("onUnpublish").is_none() {
            return Vec::new();
        }
        let client = member.id;
        let allowed = publications.into_iter().filter(|known| known.is_allowed);
        allowed.map(|known| InboxItem::Event(AppEvent::Unpublish { client, publication: known.publication })).collect()
    }

    fn tell_unpublished(&mut self, member: &Rc<RosterMember>, publication: &Publication) {
        if let Some(handler) = self.script.handler("onUnpublish")
            && let Some(stream) = self.stream(publication)
            && let Some(object) = self.object(member)
        {
            let arguments = MultiValue::from_iter([Value::Table(object), Value::Table(stream)]);
            let progress = self.script.start(Purpose::Other("onUnpublish"), &handler, arguments);
            self.go_on(progress);
        }
    }

    pub(super) fn refuse_publication(&self, member: &RosterMember, number: u64, publication: u64) {
        if self.instance.requests.take(number).is_some() {
            self.instance.send(ClientCommand::Publish { client: member.id, publication, is_allowed: false });
        }
    }

    /// The stream, as the script is told of it. `None` if the script has no memory left for it; that is reported.
    fn stream(&mut self, publication: &Publication) -> Option<Table> {
        let (name, query) = publication.name.split_once('?').unwrap_or((&publication.name, ""));
        let made = self.script.lua().create_table_from([
            ("name", name),
            ("type", publication.kind.as_str()),
            ("publishQueryString", query),
        ]);
        made.map_err(|error| self.report("stream", &(&error).into())).ok()
    }
}
