//! When a client that sends nothing is pinged, when it counts as silent, and when it counts as heard again.

use std::sync::Arc;
use std::time::Duration;

use introd_config::KeepAlive;
use introd_netgroup::{GroupDigest, GroupKey};
use rtmfp::{Moment, SessionId};

use super::{FRESH, POLL, PROBE_PERIOD};
use crate::serve::clients::client_silence::Stage;
use crate::serve::testing::{Published, Setup, World};

const MILLISECOND: Duration = Duration::from_millis(1);
/// How long a client may be silent before it is pinged.
const INTERVAL: Duration = Duration::from_secs(30);

/// A client, and the registry that the server shares.
struct Watched {
    world: World,
    shared: Arc<Published>,
    client: usize,
    session: SessionId,
}

fn watched() -> Watched {
    watched_each(INTERVAL)
}

/// The same, where a client is pinged after so much silence.
fn watched_each(interval: Duration) -> Watched {
    let shared = Published::new();
    let mut setup = Setup { shared: Some(Arc::clone(&shared) as _), ..Setup::default() };
    let rtmfp = &mut setup.config.default_adaptor.rtmfp;
    rtmfp.keepalive_nat = KeepAlive { server: interval, peers: interval };
    rtmfp.dead_peer_timeout = Duration::from_secs(600);
    setup.endpoint.silence_limit = Duration::from_secs(600);
    setup.endpoint.keepalive = Duration::from_secs(1200);
    let mut world = World::new(setup);
    let client = world.client("rtmfp://host/chat");
    let session = world.session(client);
    Watched { world, shared, client, session }
}

impl Watched {
    fn stage(&self) -> Stage {
        self.world.worker.clients.clients[&self.session].silence.stage
    }

    /// Whether the directory, the registry and the client's group say that it is silent: they agree.
    fn is_silent(&self) -> bool {
        let id = self.world.ends[self.client].id;
        let is_silent = self.world.services.directory.lookup(&id).unwrap().is_silent;
        assert_eq!(self.shared.of(id).unwrap().1.is_silent, is_silent);
        assert_eq!(self.stage() == Stage::Silent, is_silent);
        is_silent
    }

    fn cut_off(&mut self, is_cut_off: bool) {
        self.world.ends[self.client].is_cut_off = is_cut_off;
    }

    /// How long ago the client was heard.
    fn silent_for(&self) -> Duration {
        self.world.now - self.world.worker.endpoint.heard(self.session).unwrap()
    }

    /// How many datagrams were sent to the client in vain since this was last asked.
    fn lost(&mut self) -> usize {
        std::mem::take(&mut self.world.lost).len()
    }

    /// How long after now the client is checked.
    fn due_in(&self) -> Duration {
        let clients = &self.world.worker.clients;
        let due = clients.clients[&self.session].silence.due.map(Moment::instant);
        assert_eq!(due, clients.agenda.silence.next());
        due.unwrap() - self.world.now
    }

    fn probes(&self) -> u8 {
        self.world.worker.clients.clients[&self.session].silence.probes
    }

    /// Has the client send something of its own, though it is cut off.
    fn send_once(&mut self) {
        self.cut_off(false);
        self.world.call(self.client, "x", 0.0, Vec::new());
        self.cut_off(true);
        assert_eq!(self.silent_for(), Duration::ZERO);
    }

    fn look_up(&mut self) {
        let (mut turn, clients, _) = self.world.worker.turn(self.world.now);
        clients.looked_up(&mut turn, self.session);
        self.world.exchange();
    }
}

#[test]
fn a_client_that_is_there_is_pinged_once_in_an_interval_and_never_counts_as_silent() {
    let mut watched = watched();
    for _ in 0..10 {
        watched.world.advance(INTERVAL - MILLISECOND);
        assert_eq!(watched.silent_for(), INTERVAL - MILLISECOND, "nobody has asked it");
        watched.world.advance(MILLISECOND);
        assert_eq!((watched.silent_for(), watched.stage()), (Duration::ZERO, Stage::Heard));
    }
    assert!(!watched.is_silent());
}

#[test]
fn a_client_that_sends_by_itself_is_not_pinged() {
    let mut watched = watched();
    for _ in 0..10 {
        watched.world.seconds(20);
        watched.world.call(watched.client, "x", 0.0, Vec::new());
        assert_eq!(watched.stage(), Stage::Heard);
    }
    // What it sent last is acknowledged by then.
    watched.world.seconds(1);
    watched.cut_off(true);
    watched.world.advance(INTERVAL - watched.silent_for() - MILLISECOND);
    assert_eq!(watched.lost(), 0);
    watched.world.advance(MILLISECOND);
    assert!(watched.lost() > 0 && watched.stage() == Stage::Asked);
}

#[test]
fn a_client_that_does_not_answer_counts_as_silent_after_two_intervals() {
    let mut watched = watched();
    watched.world.join(watched.client, 1);
    let (group, other) = (GroupKey::of(&GroupDigest([1; 32]), &[]), watched.world.client("rtmfp://host/chat"));
    watched.world.join(other, 1);
    let groups = Arc::clone(&watched.world.services.groups);
    let last = || groups.members(&group).last().map(|member| member.value);
    let before = last();
    let loser = if before == Some(watched.session) { other } else { watched.client };
    // The one is silent that is not the last member anyway.
    (watched.client, watched.session) = (loser, watched.world.session(loser));
    let heard = watched.silent_for();
    watched.cut_off(true);
    watched.world.advance(2 * INTERVAL - heard - MILLISECOND);
    assert!(!watched.is_silent() && last() == before);
    watched.world.advance(MILLISECOND);
    assert!(watched.is_silent() && last() == Some(watched.session), "it is named after all others");
    // It stays a client until the endpoint gives it up, and is asked ever more seldom.
    watched.lost();
    watched.world.seconds(200);
    let asked = watched.lost();
    assert!((5..40).contains(&asked), "{asked}");
    assert!(watched.is_silent());
    // Once it sends again, it is heard.
    watched.cut_off(false);
    watched.world.call(watched.client, "x", 0.0, Vec::new());
    watched.world.advance(POLL);
    assert_eq!((watched.is_silent(), watched.stage(), last()), (false, Stage::Heard, before));
    watched.world.seconds(500);
    assert!(!watched.is_silent());
}

#[test]
fn a_silent_client_that_answers_a_ping_counts_as_heard_at_once() {
    let mut watched = watched();
    watched.cut_off(true);
    watched.world.advance(2 * INTERVAL);
    assert!(watched.is_silent());
    watched.cut_off(false);
    let session = watched.session;
    watched.world.worker.endpoint.ping(watched.world.now, session, &[]);
    watched.world.exchange();
    assert!(!watched.is_silent());
    assert_eq!(watched.world.worker.clients.clients[&session].silence.probes, 0);
}

#[test]
fn a_client_whose_answer_was_lost_is_asked_again_before_it_counts_as_silent() {
    let mut watched = watched();
    watched.cut_off(true);
    watched.world.advance(INTERVAL);
    assert_eq!(watched.stage(), Stage::Asked);
    // It sends something before two intervals have passed, but no answer to the ping.
    watched.world.seconds(10);
    watched.cut_off(false);
    watched.world.call(watched.client, "x", 0.0, Vec::new());
    watched.cut_off(true);
    watched.world.advance(INTERVAL + INTERVAL / 2);
    assert!(!watched.is_silent(), "an interval and a half");
    watched.world.advance(INTERVAL);
    assert!(watched.is_silent());
}

#[test]
fn a_client_that_is_looked_up_and_does_not_answer_counts_as_silent_within_some_seconds() {
    let mut watched = watched();
    watched.cut_off(true);
    watched.world.advance(FRESH);
    watched.lost();
    watched.look_up();
    assert!(watched.lost() > 0, "it is pinged at once");
    for probes in 1..3 {
        watched.world.advance(PROBE_PERIOD - MILLISECOND);
        assert_eq!(watched.world.worker.clients.clients[&watched.session].silence.probes, probes);
        watched.world.advance(MILLISECOND);
    }
    watched.world.advance(PROBE_PERIOD - MILLISECOND);
    assert!(!watched.is_silent());
    watched.world.advance(MILLISECOND);
    assert!(watched.is_silent(), "after three pings and a period more");
    let due = watched.world.worker.clients.agenda.silence.next();
    watched.look_up();
    assert_eq!(watched.world.worker.clients.agenda.silence.next(), due, "it is known to be silent");
    assert_eq!(watched.world.worker.clients.agenda.silence.len(), 1, "one check is due for a client");
}

#[test]
fn a_client_that_is_looked_up_and_answers_is_heard() {
    let mut watched = watched();
    watched.world.advance(FRESH);
    watched.look_up();
    assert_eq!((watched.silent_for(), watched.stage()), (Duration::ZERO, Stage::Heard));
    assert_eq!(watched.world.worker.clients.clients[&watched.session].silence.probes, 0);
    watched.world.seconds(600);
    assert!(!watched.is_silent());
}

#[test]
fn a_client_that_sends_while_it_is_probed_is_heard() {
    let mut watched = watched();
    watched.cut_off(true);
    watched.world.advance(FRESH);
    watched.look_up();
    watched.world.advance(PROBE_PERIOD / 2);
    watched.cut_off(false);
    watched.world.call(watched.client, "x", 0.0, Vec::new());
    watched.cut_off(true);
    watched.world.advance(PROBE_PERIOD / 2);
    assert_eq!(watched.stage(), Stage::Heard);
    watched.world.advance(INTERVAL - 2 * PROBE_PERIOD);
    assert!(!watched.is_silent());
}

#[test]
fn a_lookup_of_a_client_that_was_heard_a_moment_ago_pings_nobody() {
    let mut watched = watched();
    watched.cut_off(true);
    watched.world.advance(FRESH - MILLISECOND);
    watched.lost();
    watched.look_up();
    assert_eq!(watched.lost(), 0);
    watched.world.advance(MILLISECOND);
    watched.look_up();
    let pings = watched.lost();
    assert!(pings > 0);
    watched.look_up();
    assert_eq!(watched.lost(), 0, "it is being probed already");
}

#[test]
fn without_other_servers_a_lookup_pings_nobody() {
    let mut world = World::new(Setup::default());
    let client = world.client("rtmfp://host/chat");
    let session = world.session(client);
    world.ends[client].is_cut_off = true;
    world.seconds(10);
    world.lost.clear();
    let (mut turn, clients, _) = world.worker.turn(world.now);
    clients.looked_up(&mut turn, session);
    clients.looked_up(&mut turn, SessionId::from_wire(77));
    world.exchange();
    assert!(world.lost.is_empty());
}

#[test]
fn the_silence_of_a_copy_says_nothing_to_other_servers() {
    let mut watched = watched();
    let id = watched.world.ends[watched.client].id;
    let copy = watched.world.add_copy(watched.client);
    watched.world.connect(copy, "rtmfp://host/chat");
    let of_copy = watched.world.session(copy);
    watched.world.ends[copy].is_cut_off = true;
    watched.world.advance(2 * INTERVAL + POLL);
    assert_eq!(watched.world.worker.clients.clients[&of_copy].silence.stage, Stage::Silent);
    let (_, published) = watched.shared.of(id).unwrap();
    assert_eq!((published.id, published.is_silent), (watched.session, false));
    assert!(!watched.is_silent());
}

#[test]
fn each_check_says_when_the_next_is_due() {
    let mut watched = watched();
    watched.cut_off(true);
    assert_eq!(watched.due_in(), INTERVAL);
    watched.world.advance(INTERVAL);
    assert_eq!((watched.stage(), watched.due_in()), (Stage::Asked, INTERVAL), "at two intervals of silence");
    watched.world.advance(INTERVAL);
    assert_eq!((watched.stage(), watched.probes(), watched.due_in()), (Stage::Silent, 0, POLL));
    watched.world.advance(POLL);
    assert_eq!((watched.stage(), watched.probes(), watched.due_in()), (Stage::Silent, 1, POLL));
    watched.world.advance(POLL / 2);
    watched.send_once();
    watched.world.advance(POLL / 2);
    assert_eq!((watched.stage(), watched.due_in()), (Stage::Heard, INTERVAL - POLL / 2), "since it was heard");
}

#[test]
fn a_client_that_has_sent_something_since_it_was_asked_is_asked_again_after_an_interval() {
    let mut watched = watched();
    watched.cut_off(true);
    watched.world.advance(INTERVAL);
    watched.send_once();
    watched.world.advance(INTERVAL - MILLISECOND);
    watched.lost();
    watched.world.advance(MILLISECOND);
    assert!(watched.lost() > 0 && !watched.is_silent());
    assert_eq!((watched.stage(), watched.due_in()), (Stage::Asked, INTERVAL), "at two intervals of silence");
    watched.world.advance(INTERVAL);
    assert!(watched.is_silent());
}

#[test]
fn where_the_interval_is_short_a_client_has_time_to_answer_all_the_same() {
    let interval = POLL / 2;
    let mut watched = watched_each(interval);
    watched.cut_off(true);
    watched.world.advance(interval);
    assert_eq!((watched.stage(), watched.due_in()), (Stage::Asked, POLL), "later than two intervals of silence");
    watched.world.advance(POLL - interval / 2);
    assert!(!watched.is_silent());
    watched.world.advance(interval / 2);
    assert!(watched.is_silent());
    // It sends something, and is checked when that is longer ago than an interval.
    watched.world.advance(interval / 4);
    watched.send_once();
    watched.world.advance(POLL - interval / 4);
    assert_eq!((watched.stage(), watched.due_in()), (Stage::Heard, interval));
    assert!(!watched.is_silent());
    watched.world.advance(interval);
    assert_eq!((watched.stage(), watched.due_in()), (Stage::Asked, POLL));
    // It is asked again when it has sent something meanwhile, and has an interval to answer.
    watched.world.advance(interval / 4);
    watched.send_once();
    watched.world.advance(POLL - interval / 4);
    assert_eq!((watched.stage(), watched.due_in()), (Stage::Asked, interval), "more than two since it was heard");
    watched.world.advance(interval);
    assert!(watched.is_silent());
}

#[test]
fn the_checks_of_a_client_that_is_looked_up_are_due_in_short_periods() {
    let mut watched = watched();
    watched.cut_off(true);
    watched.world.advance(FRESH);
    watched.look_up();
    for probes in 1..=3 {
        assert_eq!((watched.stage(), watched.probes(), watched.due_in()), (Stage::Asked, probes, PROBE_PERIOD));
        watched.world.advance(PROBE_PERIOD);
    }
    assert_eq!((watched.stage(), watched.probes(), watched.due_in()), (Stage::Silent, 0, POLL));
}

#[test]
fn nothing_is_due_for_a_client_that_goes_while_it_is_probed() {
    let mut watched = watched();
    watched.cut_off(true);
    watched.world.advance(FRESH);
    watched.look_up();
    watched.world.worker.endpoint.abort(watched.world.now, watched.session);
    watched.world.exchange();
    assert!(watched.world.worker.clients.clients.is_empty());
    assert_eq!(watched.world.worker.clients.agenda.silence.len(), 0);
}
