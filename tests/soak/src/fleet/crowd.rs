//! What the clients do.

use std::sync::Arc;
use std::time::{Duration, Instant};

use introd_flash::amf::Value;
use rtmfp::PeerId;
use rtmfp::crypto::{Group, Identity};

use super::client::{Birth, Client, Number, Phase, Wish};
use super::lookups::FIRST_ASKER;
use super::people::Departure;
use super::{Fleet, Note, Noted, Place};
use crate::bounds::VANISHED_FORGOTTEN;
use crate::calm::{Part, SERVERS};
use crate::stage::APPLICATIONS;

/// How long an orderly end may take until the client forgets it.
const CLOSED: Duration = Duration::from_secs(5);
/// How many lookups tell how long it takes until clients are found after a fault.
const SAMPLE: usize = 32;
/// The longest argument of a call, in bytes: it takes several packets.
const LONGEST_ARGUMENT: usize = 6000;

impl Fleet {
    /// Does what is due.
    pub(super) fn act(&mut self, now: Instant) {
        let arrivals = self.paces.arrivals.due(now);
        if !self.leaves {
            for _ in 0..arrivals.min(self.load.clients.saturating_sub(self.clients.len())) {
                self.arrive(now);
            }
        }
        for _ in 0..self.paces.moves.due(now) {
            self.move_one(now);
        }
        for _ in 0..self.paces.calls.due(now) {
            self.call(now);
        }
        for _ in 0..self.paces.meetings.due(now) {
            self.meet(now);
        }
    }

    /// A client comes: one that was elsewhere before, or a new one.
    fn arrive(&mut self, now: Instant) {
        let back =
            self.returning.front().is_some_and(|(at, ..)| *at <= now).then(|| self.returning.pop_front()).flatten();
        let (identity, elsewhere) = match back {
            Some((_, identity, from)) => (identity, Some(from)),
            None => (Arc::new(Identity::ephemeral(&[Group::Modp2], None, false, &mut self.dice.0)), None),
        };
        let servers: Vec<usize> =
            (0..SERVERS).filter(|server| self.world.serves(*server) && elsewhere != Some(*server)).collect();
        let Some(server) = self.dice.one_of(&servers).copied() else { return };
        let wish = match self.dice.below(100) {
            _ if elsewhere.is_some() => Wish::Acceptance,
            0..3 => Wish::Rejection,
            3..5 => Wish::NoApplication,
            _ => Wish::Acceptance,
        };
        self.last_number += 1;
        let birth = Birth {
            number: self.last_number,
            identity,
            server,
            application: self.dice.one_of(&APPLICATIONS).copied().unwrap_or(APPLICATIONS[0]),
            wish,
            place: self.free_place(),
            seed: self.dice.seed(),
            leaves_at: now + self.dice.stay(self.load.stay),
        };
        let mut client = Client::new(now, birth, self.world.servers[server]);
        if elsewhere.is_some() {
            client.doubted_until = Some(now + VANISHED_FORGOTTEN);
            self.world.figures.count("clients that came back at another server");
        }
        if wish == Wish::Acceptance {
            self.people.comes(client.peer, client.number);
        }
        self.world.figures.count("clients that came");
        let number = client.number;
        self.places.insert(client.place, number);
        self.clients.insert(number, Box::new(client));
        self.transmit(now, number);
    }

    fn free_place(&mut self) -> Place {
        loop {
            self.last_place = (self.last_place + 1) % FIRST_ASKER;
            let place = Place::new(self.last_place);
            if !self.places.contains_key(&place) {
                return place;
            }
        }
    }

    /// Forgets a client. It says nothing to anybody.
    pub(super) fn remove(&mut self, number: Number) -> Option<Box<Client>> {
        self.is_no_target(number);
        let client = self.clients.remove(&number)?;
        self.places.remove(&client.place);
        self.lives.remove(&number);
        Some(client)
    }

    /// Others may look for the client from now on.
    pub(super) fn is_target(&mut self, number: Number) {
        self.positions.insert(number, self.connected.len());
        self.connected.push(number);
        self.count_connected();
    }

    /// Nobody looks for the client any more.
    fn is_no_target(&mut self, number: Number) {
        if let Some(position) = self.positions.remove(&number) {
            self.connected.swap_remove(position);
            if let Some(moved) = self.connected.get(position) {
                self.positions.insert(*moved, position);
            }
            self.count_connected();
        }
    }

    fn count_connected(&self) {
        let mut counts = [0; SERVERS];
        let servers = self.connected.iter().filter_map(|number| self.clients.get(number)).map(|client| client.server);
        servers.for_each(|server| counts[server] += 1);
        (0..SERVERS).for_each(|server| self.world.set_clients(server, counts[server]));
    }

    /// The client is gone, as far as others are concerned.
    pub(super) fn departs(&mut self, now: Instant, number: Number, how: Departure) {
        let Some(client) = self.clients.get(&number) else { return };
        let (peer, server, is_orphan): (PeerId, usize, bool) = (client.peer, client.server, client.is_orphan);
        // An earlier session, from which the peer vanished, may still be named.
        let known = if client.doubted_until.is_some() { Departure::Vanished } else { how };
        self.people.goes(now, peer, number, known);
        if !is_orphan && let Some(life) = self.lives.get(&number).copied() {
            let what = if how == Departure::Ended { Noted::Ended } else { Noted::Vanished };
            let _ = self.notes.send(Note { number, server, life, at: now, what });
        }
        self.is_no_target(number);
    }

    /// The client has had its time: it closes its session, vanishes, or goes to another server without a word.
    fn leave(&mut self, now: Instant, number: Number) {
        let way = if self.leaves { 0 } else { self.dice.below(100) };
        if way < 50 {
            self.world.figures.count("clients that closed their session");
            self.departs(now, number, Departure::Ended);
            if let Some(client) = self.clients.get_mut(&number) {
                client.close(now);
            }
            return self.transmit(now, number);
        }
        self.world.figures.count("clients that vanished");
        self.departs(now, number, Departure::Vanished);
        if let Some(client) = self.remove(number)
            && way >= 80
        {
            let back = now + Duration::from_millis(self.dice.below(3000) as u64);
            self.returning.push_back((back, client.identity, client.server));
        }
    }

    /// All clients leave, and no others come.
    pub(super) fn leave_all(&mut self, now: Instant) {
        self.leaves = true;
        for client in self.clients.values_mut() {
            client.leaves_at = now;
        }
        self.sweep(now);
    }

    /// The process of a server has ended, and all sessions with it. Its clients find out by themselves.
    pub(super) fn orphan(&mut self, now: Instant, server: usize) {
        let clients =
            self.clients.values_mut().filter(|client| client.server == server && client.phase != Phase::Opening);
        let mut lost = Vec::new();
        for client in clients {
            (client.is_orphan, client.begun) = (true, now);
            lost.push(client.number);
        }
        for number in lost {
            self.departs(now, number, Departure::Ended);
        }
    }

    fn move_one(&mut self, now: Instant) {
        let Some(number) = self.dice.one_of(&self.connected).copied() else { return };
        let place = self.free_place();
        let own = self.network.address(place);
        let Some(client) = self.clients.get_mut(&number).filter(|client| !client.is_moving) else { return };
        self.places.remove(&client.place);
        self.places.insert(place, number);
        client.move_to(now, place, own);
        self.world.figures.count("moves to another address");
        self.transmit(now, number);
    }

    fn call(&mut self, now: Instant) {
        let Some(number) = self.dice.one_of(&self.connected).copied() else { return };
        let Some(client) = self.clients.get_mut(&number).filter(|client| client.waits_since().is_none()) else {
            return;
        };
        let argument = match self.dice.below(3) {
            0 => Value::Number(self.dice.below(1 << 30) as f64),
            _ => Value::String("x".repeat(self.dice.below(LONGEST_ARGUMENT))),
        };
        client.call(now, argument);
        self.world.figures.count("calls of scripts");
        self.transmit(now, number);
    }

    /// A client joins one of the groups.
    pub(super) fn join(&mut self, now: Instant, number: Number) {
        let Some(group) = self.dice.one_of(&self.groups).copied() else { return };
        if let Some(client) = self.clients.get_mut(&number) {
            client.join(now, &group);
            self.world.figures.count("joins of groups");
            self.transmit(now, number);
        }
    }

    /// A client looks for another one of the same application, at the same server or elsewhere.
    fn meet(&mut self, now: Instant) {
        let pair = [0; 2].map(|_: i32| self.dice.one_of(&self.connected).copied());
        let [Some(asker), Some(target)] = pair else { return };
        if asker == target || !self.may_meet(asker) || !self.may_meet(target) {
            return;
        }
        let Some(other) = self.clients.remove(&target) else { return };
        let is_begun = self.clients.get_mut(&asker).is_some_and(|client| {
            let looks_back = other.meeting.as_ref().is_some_and(|meeting| meeting.peer == client.peer);
            let is_fit = client.application == other.application && client.meeting.is_none() && !looks_back;
            is_fit && client.meet(now, self.world.servers[client.server], &other)
        });
        self.clients.insert(target, other);
        if is_begun {
            self.world.figures.count("peers looked for by clients");
            self.transmit(now, asker);
        }
    }

    /// Looks at all clients: whether their time is over, and whether something takes too long.
    pub(super) fn sweep(&mut self, now: Instant) {
        let numbers: Vec<Number> = self.clients.keys().copied().collect();
        for number in numbers {
            let Some(client) = self.clients.get(&number) else { continue };
            let is_over = client.leaves_at <= now;
            match client.phase {
                _ if client.is_orphan && self.leaves => drop(self.remove(number)),
                _ if client.is_orphan => (),
                Phase::Connected if is_over => self.leave(now, number),
                Phase::Connected => self.is_served(now, number),
                Phase::Closing => {
                    if client.endpoint.session_count() == 0 || client.begun + CLOSED < now {
                        self.remove(number);
                    }
                }
                Phase::Opening | Phase::Asking | Phase::Reporting | Phase::Refused if self.leaves => {
                    self.departs(now, number, Departure::Ended);
                    if let Some(client) = self.clients.get_mut(&number) {
                        client.close(now);
                    }
                    self.transmit(now, number);
                }
                Phase::Opening | Phase::Asking | Phase::Reporting | Phase::Refused => self.is_answered(now, number),
            }
        }
    }

    /// Looks for how long it takes until clients are found after a fault.
    pub(super) fn look_after(&mut self, now: Instant, kind: &'static str, part: Part, ended: Instant) {
        for _ in 0..SAMPLE {
            let Some(client) = self.dice.one_of(&self.connected).and_then(|number| self.clients.get(number)) else {
                return;
            };
            let asked = match part {
                Part::Server(server) if client.server != server => server,
                // Another one than its own.
                _ => (client.server + 1 + self.dice.below(SERVERS - 1)) % SERVERS,
            };
            if client.doubted_until.is_none() && client.settled < ended {
                self.lookups.expect(now, client, asked, Some((kind, ended)));
            }
        }
    }
}
