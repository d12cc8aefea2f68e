//! While `onAppStart` waits, clients and askers wait too: a script that has yet to load its lists must not decide about anybody.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use mlua::MultiValue;
use mlua::Value;

use super::Runtime;
use crate::api::script::Purpose;
use crate::instance::item::{InboxItem, waits_for_start};
use introd_policy::message::{AppEvent, ClientId};

/// So many events are held back here. Further ones wait in the inbox, and are subject to its bounds.
const MAX_HELD: usize = 1024;
/// If `onAppStart` takes longer, the log says why clients wait.
const LONG: Duration = Duration::from_secs(5);

/// The start of a script, and what waits for its end.
#[derive(Default)]
pub(crate) struct Starting {
    /// Since when `onAppStart` has been running; `None` if it has ended.
    since: Option<Instant>,
    held: VecDeque<InboxItem>,
    has_warned: bool,
}

impl Starting {
    /// Whether there is something that waits no longer.
    pub(super) fn is_behind(&self) -> bool {
        self.is_over() && !self.held.is_empty()
    }

    pub(super) fn is_over(&self) -> bool {
        self.since.is_none()
    }

    /// The clients whose ends have waited.
    pub(super) fn departed(&self) -> impl Iterator<Item = ClientId> {
        self.held.iter().filter_map(|item| match item {
            InboxItem::Event(AppEvent::Disconnect { client }) => Some(*client),
            _ => None,
        })
    }

    /// Whether all events that come are for the script at once.
    pub(super) fn has_nothing_held(&self) -> bool {
        self.is_over() && self.held.is_empty()
    }

    /// `onAppStart` has ended.
    pub(super) fn ended(&mut self) {
        (self.since, self.has_warned) = (None, false);
    }

    /// What has waited, one after the other.
    pub(super) fn take(&mut self) -> Option<InboxItem> {
        if self.is_over() { self.held.pop_front() } else { None }
    }
}

impl Runtime {
    /// `reason` is told to the script: `start`, `reload` or `takeover`.
    pub(super) fn start_app(&mut self, reason: &'static str) {
        self.starting.since = Some(self.instance.now.get());
        match self.script.handler("onAppStart") {
            Some(handler) => {
                let info = self.script.lua().create_table_from([("reason", reason)]);
                let arguments = info.map(|info| MultiValue::from_iter([Value::Table(info)])).unwrap_or_default();
                let progress = self.script.start(Purpose::Start, &handler, arguments);
                self.go_on(progress);
            }
            None => self.starting.ended(),
        }
    }

    /// Whether as much is held back as may be: take from the inbox only what does not wait.
    pub(crate) fn holds_enough(&self) -> bool {
        self.starting.held.len() >= MAX_HELD
    }

    /// Holds an event back that has to wait for the end of `onAppStart`, or for others that did. Gives back any other.
    pub(super) fn hold(&mut self, item: InboxItem) -> Option<InboxItem> {
        if self.starting.has_nothing_held() || !waits_for_start(&item) {
            return Some(item);
        }
        let long = self.starting.since.filter(|since| self.instance.now.get() >= *since + LONG);
        if long.is_some() && !std::mem::replace(&mut self.starting.has_warned, true) {
            let app = &self.instance.name;
            tracing::warn!(%app, "onAppStart still waits: clients and lookups wait until it has ended. For what goes on for ever use a timer");
        }
        self.starting.held.push_back(item);
        None
    }
}
