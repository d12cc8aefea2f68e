//! Whether what happens to clients is what should happen.

use std::time::{Duration, Instant};

use rtmfp::{CloseReason, OpenFailure, PeerId};

use super::client::{Happening, Number, Phase, Wish};
use super::people::Departure;
use super::{Fleet, Note, Noted};
use crate::bounds::{AFTERMATH, ANSWERED, CALL_ANSWERED, MET};
use crate::calm::{Part, SERVERS};
use crate::plan::server_name;
use crate::violation::Violation;

const STATUSES: &str = "each client gets the status that AMS would give";
const LASTING: &str = "a session lasts until one of its ends closes it";
const ANSWERS: &str = "a server that is well answers";

/// The statuses with which a server may end a connection.
const OF_AN_END: [&str; 2] = ["NetConnection.Connect.AppShutdown", "NetConnection.Connect.Closed"];

impl Fleet {
    /// Judges what has happened to a client.
    pub(super) fn judge(&mut self, now: Instant, number: Number, happening: Happening) {
        match happening {
            Happening::Answered { is_success, level, code } => self.answered(now, number, is_success, &level, &code),
            Happening::Connected => self.connected(now, number),
            Happening::Status { code } => {
                self.world.figures.count(&format!("status {code}"));
                if !OF_AN_END.contains(&code.as_str()) || self.must_last(now, number) {
                    self.violated(number, STATUSES, format!("{code} came unasked"));
                }
            }
            Happening::Unopened(reason) => self.unopened(now, number, &reason),
            Happening::Closed(reason) => self.closed(now, number, reason),
            Happening::Called { took, is_right } => {
                self.world.figures.took("until a call was answered", took);
                if !is_right {
                    self.violated(number, ANSWERS, "a call got another answer than its argument".to_owned());
                }
            }
            Happening::CallFailed { code, at } => {
                self.world.figures.count("calls that failed during faults");
                if self.is_calm(now, number) {
                    let seen = format!("a call {:.1} s ago failed: {code}", (now - at).as_secs_f64());
                    self.violated(number, ANSWERS, seen);
                }
            }
            Happening::Met(outcome) => self.met(now, number, outcome),
            Happening::Hint(peer) => self.hinted(now, number, &peer),
            Happening::Greeted => self.world.figures.count("messages from peers"),
        }
    }

    /// Whether the client's server has been well for so long that nothing follows from a fault any more.
    fn is_calm(&self, now: Instant, number: Number) -> bool {
        let Some(client) = self.clients.get(&number) else { return false };
        !self.world.calm.was_disturbed(Part::Server(client.server), now, self.aftermath(now))
    }

    /// Whether nothing has happened to the client's server lately that may end sessions: they must last, whatever else has happened.
    fn must_last(&self, now: Instant, number: Number) -> bool {
        let Some(client) = self.clients.get(&number) else { return false };
        !self.world.calm.could_sessions_end(Part::Server(client.server), now, self.aftermath(now))
    }

    fn aftermath(&self, now: Instant) -> Duration {
        self.world.patience.due(now - AFTERMATH, AFTERMATH).saturating_duration_since(now) + AFTERMATH
    }

    fn violated(&self, number: Number, invariant: &'static str, seen: String) {
        let Some(client) = self.clients.get(&number) else { return };
        let (application, server) = (client.application, server_name(client.server));
        let seen = format!("client {number} of {application} at server {server}, which is {:?}: {seen}", client.phase);
        self.world.report(Violation::new(invariant, seen).about(&[client.peer]));
    }

    /// `connect` has been answered.
    fn answered(&mut self, now: Instant, number: Number, is_success: bool, level: &str, code: &str) {
        let Some(client) = self.clients.get(&number) else { return };
        let expected = match client.wish {
            Wish::Acceptance => (true, "status", "NetConnection.Connect.Success"),
            Wish::Rejection => (false, "error", "NetConnection.Connect.Rejected"),
            Wish::NoApplication => (false, "error", "NetConnection.Connect.InvalidApp"),
        };
        self.world.figures.count(&format!("connects answered by {code}"));
        self.world.figures.took("until connect was answered", now - client.begun);
        if is_success {
            let (server, life) = (client.server, self.world.life(client.server));
            self.lives.insert(number, life);
            let _ = self.notes.send(Note { number, server, life, at: now, what: Noted::Asked });
        }
        // While its script fails or is late, an application refuses its clients.
        let is_refused = (is_success, level, code) == (false, "error", "NetConnection.Connect.Rejected");
        let is_excused = is_refused && !self.is_calm(now, number);
        if (is_success, level, code) != expected && !is_excused {
            self.violated(number, STATUSES, format!("connect was answered by {code} of level {level:?}"));
        }
    }

    fn connected(&mut self, now: Instant, number: Number) {
        self.is_target(number);
        if self.dice.percent(60) {
            self.join(now, number);
        }
        if self.dice.percent(30)
            && let Some(client) = self.clients.get(&number)
        {
            (0..SERVERS).for_each(|asked| self.lookups.expect(now, client, asked, None));
        }
    }

    fn unopened(&mut self, now: Instant, number: Number, reason: &OpenFailure) {
        let is_own = self.clients.get(&number).is_some_and(|client| client.phase == Phase::Closing);
        if !is_own && self.must_last(now, number) {
            self.violated(number, ANSWERS, format!("its session did not open: {reason}"));
        }
        self.departs(now, number, Departure::Vanished);
        self.remove(number);
    }

    /// The session with the server has ended.
    fn closed(&mut self, now: Instant, number: Number, reason: CloseReason) {
        let Some(client) = self.clients.get(&number) else { return };
        match client.phase {
            Phase::Closing => (),
            _ if client.is_orphan => {
                self.world.figures.took("until clients of a dead server gave up", now - client.begun);
            }
            Phase::Refused if matches!(reason, CloseReason::Far | CloseReason::FarAbrupt) => {
                self.world.figures.count("refused clients whose session was closed");
            }
            _ => {
                self.world.figures.count(&format!("sessions lost to faults: {reason}"));
                if self.must_last(now, number) {
                    self.violated(number, LASTING, format!("the session has ended: {reason}"));
                }
                // A server that stood still may not know yet.
                let is_known = matches!(reason, CloseReason::Far | CloseReason::FarAbrupt);
                self.departs(now, number, if is_known { Departure::Ended } else { Departure::Vanished });
            }
        }
        if self.clients.get(&number).is_some_and(|client| client.phase != Phase::Closing) {
            self.remove(number);
        }
    }

    /// An attempt to meet a peer is over.
    fn met(&mut self, now: Instant, number: Number, outcome: Result<(), String>) {
        let Some(meeting) = self.clients.get_mut(&number).and_then(|client| client.meeting.take()) else { return };
        match outcome {
            Ok(()) => self.world.figures.took("until peers had met", now - meeting.begun),
            // Either may have gone, or both looked for each other.
            Err(why) => self.world.figures.count(&format!("meetings that ended early: {why}")),
        }
    }

    /// A server has named a member of a group.
    fn hinted(&mut self, now: Instant, number: Number, peer: &PeerId) {
        self.world.figures.count("members of groups named");
        if !self.people.is_known(peer) {
            return self.violated(
                number,
                "nobody who is gone is named",
                format!("{peer} was named, whom nobody has been lately"),
            );
        }
        if let Some(gone) = self.people.gone(peer)
            && gone.forgotten_at(&self.world).is_some_and(|at| at < now)
        {
            let seen =
                format!("{peer} was named as a member of a group, and went {:.1} s ago", gone.age(now).as_secs_f64());
            self.violated(number, "nobody who is gone is named", seen);
        }
    }

    /// Whether others may look for the client, and the client for others: no earlier session of the same peer stands in the way.
    pub(super) fn may_meet(&self, number: Number) -> bool {
        let client = self.clients.get(&number);
        client.is_some_and(|client| {
            client.phase == Phase::Connected && !client.is_moving && client.doubted_until.is_none()
        })
    }

    /// Whether a connected client gets what it has asked for.
    pub(super) fn is_served(&mut self, now: Instant, number: Number) {
        let Some(client) = self.clients.get_mut(&number) else { return };
        let calm = self.world.calm.since(&[Part::Server(client.server)]);
        if let Some(since) = client.waits_since() {
            match calm {
                Some(calm) if calm <= since => {
                    if self.world.patience.due(since, CALL_ANSWERED) < now {
                        self.violated(number, ANSWERS, format!("a call is not answered after {:?}", now - since));
                    }
                }
                // Calls that were made during a fault may get no answer.
                _ => client.forget_calls(),
            }
        }
        self.is_met(now, number);
    }

    /// Whether the client has met the peer that it looks for, if it should have.
    fn is_met(&mut self, now: Instant, number: Number) {
        let Some(client) = self.clients.get(&number) else { return };
        let Some(meeting) = &client.meeting else { return };
        if self.world.patience.due(meeting.begun, MET) > now {
            return;
        }
        let parts = [Part::Server(client.server), Part::Server(meeting.target_server), Part::Redis];
        let is_calm = self.world.calm.since(&parts).is_some_and(|calm| calm <= meeting.begun);
        let (target, moves) = meeting.target;
        let is_there = self.clients.get(&target).is_some_and(|other| {
            other.phase == Phase::Connected && !other.is_orphan && other.moves == moves && client.moves == meeting.moves
        });
        if is_calm && is_there {
            let seen = format!(
                "it has not met client {target} at server {} after {:.1} s",
                server_name(meeting.target_server),
                (now - meeting.begun).as_secs_f64()
            );
            self.violated(number, "clients that look for each other meet", seen);
        }
        self.world.figures.count("meetings given up during faults, moves and departures");
        if let Some(client) = self.clients.get_mut(&number) {
            client.give_up_meeting(now);
        }
        self.transmit(now, number);
    }

    /// Whether a client that asks to be connected is answered in time.
    pub(super) fn is_answered(&mut self, now: Instant, number: Number) {
        let Some(client) = self.clients.get(&number) else { return };
        let (begun, calm) = (client.begun, self.world.calm.since(&[Part::Server(client.server)]));
        let is_overdue = |since: Instant| self.world.patience.due(since, ANSWERED) < now;
        if calm.is_some_and(|calm| is_overdue(begun.max(calm)) && calm <= begun) {
            let seen = format!("it waits for {:.1} s", (now - begun).as_secs_f64());
            self.violated(number, ANSWERS, seen);
        } else if is_overdue(begun) {
            self.world.figures.count("connects given up during faults");
            self.departs(now, number, Departure::Vanished);
            self.remove(number);
        }
    }
}
