//! NetConnections and NetGroups of scripts, with endpoints that do as the test says.

mod connecting;
mod groups;
mod lifetimes;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use introd_flash::amf::{Encoder, Value};
use introd_netgroup::member::posting::PostingId;
use introd_netgroup::{GroupAddress, GroupSpecifier, Groupspec};
use introd_policy::net_connection::*;
use rtmfp::PeerId;

use super::*;
use crate::Surroundings;
use crate::testing::Scenery;

/// What scripts have opened and sent, and what the endpoints say to that.
#[derive(Default)]
pub(super) struct Endpoints(Mutex<State>);

#[derive(Default)]
struct State {
    opened: Vec<(InstanceName, ConnectionOptions, Arc<dyn ConnectionEvents>)>,
    sent: Vec<(usize, ConnectionCommand)>,
    closed: Vec<usize>,
    facts: HashMap<(usize, GroupId), GroupFacts>,
    refusal: Option<OpenError>,
    busy: Option<CommandRefused>,
}

impl Endpoints {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn opened(&self, place: usize) -> ConnectionOptions {
        self.state().opened[place].1.clone()
    }

    /// Takes what was sent.
    fn sent(&self) -> Vec<(usize, ConnectionCommand)> {
        std::mem::take(&mut self.state().sent)
    }

    /// How many have been opened.
    pub(super) fn count(&self) -> usize {
        self.state().opened.len()
    }

    /// Takes the places of those that were closed.
    pub(super) fn closed(&self) -> Vec<usize> {
        std::mem::take(&mut self.state().closed)
    }

    pub(super) fn say(&self, place: usize, event: ConnectionEvent) {
        let events = Arc::clone(&self.state().opened[place].2);
        events.tell(event).unwrap();
    }
}

/// Opens connections to those endpoints.
pub(super) struct Opener(pub(super) Arc<Endpoints>);

impl NetConnections for Opener {
    fn open(
        &self,
        owner: &InstanceName,
        _: &Arc<Application>,
        options: ConnectionOptions,
        events: Arc<dyn ConnectionEvents>,
    ) -> Result<Box<dyn NetConnection>, OpenError> {
        let mut state = self.0.state();
        if let Some(refusal) = state.refusal.clone() {
            return Err(refusal);
        }
        state.opened.push((owner.clone(), options, events));
        Ok(Box::new(Endpoint { endpoints: Arc::clone(&self.0), place: state.opened.len() - 1 }))
    }
}

struct Endpoint {
    endpoints: Arc<Endpoints>,
    place: usize,
}

impl NetConnection for Endpoint {
    fn send(&self, command: ConnectionCommand) -> Result<(), CommandRefused> {
        let mut state = self.endpoints.state();
        if let Some(busy) = state.busy {
            return Err(busy);
        }
        state.sent.push((self.place, command));
        Ok(())
    }

    fn group(&self, group: GroupId) -> Option<GroupFacts> {
        self.endpoints.state().facts.get(&(self.place, group)).copied()
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.endpoints.state().closed.push(self.place);
    }
}

struct Play {
    scene: Scene,
    endpoints: Arc<Endpoints>,
}

/// A script whose connections lead to endpoints of the test. It says `run` code by the client method of that name.
fn play(main: &str) -> Play {
    let endpoints = Arc::<Endpoints>::default();
    let folder = Folder::new(main);
    let surroundings =
        Surroundings { connections: Arc::new(Opener(Arc::clone(&endpoints))), ..Surroundings::default() };
    let scenery = Scenery { surroundings, ..Scenery::default() };
    let stage = Stage::within(folder.path(), settings(|_| ()), scenery);
    let stage = stage.unwrap_or_else(|failure| panic!("{failure}"));
    Play { scene: Scene { folder, stage }, endpoints }
}

/// A script with a connection `nc` that is open, and this besides.
fn connected(main: &str) -> Play {
    let mut play = play(&format!(
        "function application.onAppStart() nc = NetConnection() nc:connect('rtmfp:') if setup then setup() end end {main}"
    ));
    play.say(0, open());
    play
}

/// The same with a `group` that it has joined.
fn joined(main: &str) -> Play {
    let mut play = connected(&format!(
        "function setup()
            function nc:onStatus(info)
                if info.code ~= 'NetConnection.Connect.Success' then return end
                group = NetGroup(self, '{SPEC}')
                function group:onStatus(info) heard(info, self) end
            end
        end
        function heard(info) trace(info.code) end
        {main}"
    ));
    assert!(matches!(&play.endpoints.sent()[..], [(0, ConnectionCommand::Join { group: GroupId(1), .. })]));
    play.in_group(GroupEvent::Connected);
    play
}

const SPEC: &str = "G:027f0201010103010c050e74657374011b00";
const NEAR: PeerId = PeerId([0x11; 32]);
const FAR: PeerId = PeerId([0x22; 32]);

fn open() -> ConnectionEvent {
    let bound = vec!["192.0.2.1:1935".parse().unwrap()];
    let info = Value::object([("data", Value::Number(7.0))]);
    ConnectionEvent::Connected { near_id: NEAR, far_id: Some(FAR), nonces: Some(([3; 32], [4; 32])), bound, info }
}

fn closed(code: &str) -> ConnectionEvent {
    ConnectionEvent::Closed { code: code.to_owned(), description: "so it is".to_owned(), info: Value::Null }
}

fn amf(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.amf0(value).unwrap();
    encoder.finish()
}

impl Play {
    /// An endpoint says something, and the script hears it.
    fn say(&mut self, place: usize, event: ConnectionEvent) {
        self.endpoints.say(place, event);
        self.scene.stage.poll();
    }

    fn in_group(&mut self, event: GroupEvent) {
        self.say(0, ConnectionEvent::Group { group: GroupId(1), event });
    }

    /// Runs a piece of code in a handler, and returns what it traced.
    fn run(&mut self, code: &str) -> Vec<String> {
        self.try_run(code);
        self.scene.traces()
    }

    fn try_run(&mut self, code: &str) {
        let lua = self.scene.stage.runtime.script.lua().clone();
        let function = lua.load(code).set_name("@code").into_function().unwrap();
        self.scene.stage.runtime.script.state.application.raw_set("onPeerLookup", function).unwrap();
        self.scene.stage.look_up(None, "192.0.2.1:1".parse().unwrap(), None);
        self.scene.advance(0);
    }

    /// The error of a piece of code.
    fn error(&mut self, code: &str) -> String {
        self.try_run(code);
        let failures = self.scene.failures();
        assert_eq!(failures.len(), 1, "{code}: {failures:?}");
        failures[0].3.clone()
    }
}
