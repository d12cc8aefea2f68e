//! A plugin for tests, which decides as its configuration says, well or badly.
//!
//! It tests what the host does with every verdict, failure and delay, and knows nothing of the server. Begin reading with
//! `Plugin::lookup` below. Its configuration:
//!
//! - `<name>` appears in what it logs: `<<NAME event>>`.
//! - `<lookup>` and `<connect>` are its verdicts: `continue`, `deny`, `ignore`, `redirect ADDRESS`, `introduce`, `relay RATE
//!   LIFETIME` (limits that may be missing), `by-hand` (an introduction by the host's functions), `accept`, `reject TEXT`, `move URI`, `fail`, `panic`, `never` (pending for ever), `drop`
//!   (a completion that is dropped without a verdict), or `block MILLISECONDS`.
//! - `<target>`: it continues lookups of all other peers.
//! - `<after>`: it gives the verdict so many milliseconds later, from another thread.
//! - `<panic>`: another callback that panics: `create`, `destroy`, `disconnect`, `addresses_changed`, `cancel` or `on_timer`.
//! - `<disconnect>`: it disconnects each client that looks for a peer.
//! - `<timer>`: it starts a timer that fires after so many milliseconds.

use std::collections::BinaryHeap;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use introd_plugin::{
    Address, AddressChange, Completion, Config, Connect, ConnectVerdict, CreateError, Disconnect, Host, Later, Level,
    Lookup, LookupVerdict, Origin, PeerId, Plugin, Relay, Reply, TimerPlugin, Token,
};

struct Puppet {
    host: Host,
    name: String,
    lookup: String,
    connect: String,
    target: Option<PeerId>,
    after: Option<Duration>,
    panics: Option<String>,
    disconnects: bool,
    jobs: Option<Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    pending: Mutex<PendingVerdicts>,
}

/// The verdicts that it never gives.
#[derive(Default)]
struct PendingVerdicts {
    lookups: Vec<Completion<LookupVerdict>>,
    connects: Vec<Completion<ConnectVerdict>>,
}

/// Something to do later. The earliest job is the greatest, so that a heap has it on top.
struct Job {
    at: Instant,
    work: Box<dyn FnOnce() + Send>,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Job {}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.at.cmp(&self.at)
    }
}

/// Runs each job at its time, until the plugin ends.
fn run_jobs(jobs: &Receiver<Job>) {
    let mut waiting = BinaryHeap::<Job>::new();
    loop {
        let next = waiting.peek().map(|job| job.at.saturating_duration_since(Instant::now()));
        let received = match next {
            Some(wait) => jobs.recv_timeout(wait),
            None => jobs.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match received {
            Ok(job) => waiting.push(job),
            Err(RecvTimeoutError::Timeout) => {
                if let Some(job) = waiting.pop() {
                    (job.work)();
                }
            }
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

impl Puppet {
    fn say(&self, what: &str) {
        self.host.log(Level::Info, &format!("<<{} {what}>>", self.name));
    }

    fn maybe_panic(&self, callback: &str) {
        assert!(self.panics.as_deref() != Some(callback), "the configuration demands it");
    }

    fn lookup_verdict(&self, lookup: &Lookup<'_>) -> Reply<LookupVerdict> {
        let (verdict, argument) = self.lookup.split_once(' ').unwrap_or((&self.lookup, ""));
        match verdict {
            "deny" => LookupVerdict::Deny.into(),
            "ignore" => LookupVerdict::Ignore.into(),
            "redirect" => match argument.parse::<SocketAddr>() {
                Ok(address) => LookupVerdict::Redirect(vec![Address::new(address, Origin::Observed)]).into(),
                Err(_) => LookupVerdict::Redirect(Vec::new()).into(),
            },
            "introduce" => LookupVerdict::Introduce(lookup.target().unwrap_or(PeerId([0; 32]))).into(),
            "relay" => self.relay(argument).into(),
            "by-hand" => self.introduce_by_hand(lookup).unwrap_or(LookupVerdict::Ignore).into(),
            "fail" => Reply::Failed("the configuration demands it".to_owned()),
            "panic" => panic!("the configuration demands it"),
            "block" => {
                std::thread::sleep(Duration::from_millis(argument.parse().unwrap_or(1000)));
                LookupVerdict::Continue.into()
            }
            _ => LookupVerdict::Continue.into(),
        }
    }

    /// The verdict `relay RATE LIFETIME`, with limits in bytes a second and in milliseconds that may be missing.
    fn relay(&self, limits: &str) -> LookupVerdict {
        let mut limits = limits.split(' ');
        let bytes_per_second = limits.next().and_then(|rate| rate.parse().ok());
        let lifetime = limits.next().and_then(|lifetime| lifetime.parse().ok()).map(Duration::from_millis);
        LookupVerdict::Relay(Relay { peer: self.target, bytes_per_second, lifetime })
    }

    /// Does what the verdict `introduce` does, by the host's functions.
    fn introduce_by_hand(&self, lookup: &Lookup<'_>) -> Option<LookupVerdict> {
        let target = lookup.target()?;
        let peer = self.host.find_peer(target)?;
        let is_it = peer.client.peer == target && lookup.target_is_local();
        let introduced = self.host.introduce(target, lookup.initiator(), lookup.tag());
        self.say(&format!("by hand {is_it} {} {introduced:?}", peer.reported.len()));
        let nobody = PeerId([0xee; 32]);
        let nobody = (self.host.find_peer(nobody).is_none(), self.host.introduce(nobody, lookup.initiator(), &[]));
        self.say(&format!("nobody {nobody:?}"));
        Some(LookupVerdict::redirect(peer.observed))
    }

    fn connect_verdict(&self) -> Reply<ConnectVerdict> {
        let (verdict, argument) = self.connect.split_once(' ').unwrap_or((&self.connect, ""));
        match verdict {
            "reject" => ConnectVerdict::Reject(argument.to_owned()).into(),
            "move" => ConnectVerdict::Redirect(argument.to_owned()).into(),
            "fail" => Reply::Failed("the configuration demands it".to_owned()),
            "panic" => panic!("the configuration demands it"),
            _ => ConnectVerdict::Accept.into(),
        }
    }

    fn do_later(&self, after: Duration, work: impl FnOnce() + Send + 'static) {
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(Job { at: Instant::now() + after, work: Box::new(work) });
        }
    }
}

impl Plugin for Puppet {
    const NAME: &'static str = env!("CARGO_PKG_NAME");
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn create(host: Host, config: &Config<'_>) -> Result<Self, CreateError> {
        let text = |name| config.text(name).unwrap_or_default();
        let millis = |name| config.text(name).and_then(|text| text.parse().ok()).map(Duration::from_millis);
        let target = config.text("target").map(|text| text.parse()).transpose()?;
        let (sender, receiver) = channel();
        let puppet = Self {
            host,
            name: text("name"),
            lookup: text("lookup"),
            connect: text("connect"),
            target,
            after: millis("after"),
            panics: config.text("panic"),
            disconnects: config.text("disconnect").is_some(),
            jobs: Some(sender),
            thread: Some(std::thread::spawn(move || run_jobs(&receiver))),
            pending: Mutex::default(),
        };
        puppet.maybe_panic("create");
        if let Some(after) = millis("timer") {
            host.start_timer(after, None, 7)?;
        }
        puppet.say("created");
        Ok(puppet)
    }

    fn connect(&self, connect: &Connect<'_>, later: Later<'_, ConnectVerdict>) -> Reply<ConnectVerdict> {
        let arguments: Vec<&str> = connect.arguments().collect();
        self.say(&format!(
            "connect {} {}/{} {} {arguments:?}",
            connect.client().peer,
            connect.application(),
            connect.instance(),
            connect.uri()
        ));
        if self.connect == "never" || self.after.is_some() {
            let (completion, reply) = match later.defer() {
                Ok(deferred) => deferred,
                Err(error) => return Reply::Failed(error.to_string()),
            };
            match self.after {
                Some(after) => {
                    let verdict = self.connect_verdict();
                    self.do_later(after, move || {
                        let _ = match verdict {
                            Reply::Now(verdict) => completion.complete(verdict),
                            _ => completion.fail("the configuration demands it"),
                        };
                    });
                }
                None => self.pending.lock().unwrap_or_else(PoisonError::into_inner).connects.push(completion),
            }
            return reply;
        }
        self.connect_verdict()
    }

    fn disconnect(&self, disconnect: &Disconnect<'_>) {
        self.say(&format!("disconnect {} {}", disconnect.client().peer, disconnect.reason()));
        self.maybe_panic("disconnect");
    }

    fn addresses_changed(&self, change: &AddressChange<'_>) {
        let reported: Option<Vec<SocketAddr>> = change.reported().map(Iterator::collect);
        self.say(&format!("addresses {} {} {reported:?}", change.client().peer, change.far_address_changed()));
        self.maybe_panic("addresses_changed");
    }

    fn lookup(&self, lookup: &Lookup<'_>, later: Later<'_, LookupVerdict>) -> Reply<LookupVerdict> {
        if self.target.is_some() && lookup.target() != self.target {
            return LookupVerdict::Continue.into();
        }
        if !self.name.is_empty() {
            self.say(&format!("lookup {}", lookup.application()));
        }
        if self.disconnects
            && let Some(asker) = lookup.asker()
        {
            self.say(&format!("disconnects {:?}", self.host.disconnect(asker)));
        }
        let is_never = matches!(self.lookup.as_str(), "never" | "drop");
        if !is_never && self.after.is_none() {
            return self.lookup_verdict(lookup);
        }
        let (completion, reply) = match later.defer() {
            Ok(deferred) => deferred,
            Err(error) => return Reply::Failed(error.to_string()),
        };
        if self.lookup == "drop" {
            drop(completion);
        } else if let Some(after) = self.after {
            let verdict = self.lookup_verdict(lookup);
            self.do_later(after, move || {
                let _ = match verdict {
                    Reply::Now(verdict) => completion.complete(verdict),
                    _ => completion.fail("the configuration demands it"),
                };
            });
        } else {
            self.pending.lock().unwrap_or_else(PoisonError::into_inner).lookups.push(completion);
        }
        reply
    }

    fn cancel(&self, token: Token) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let lookup = pending.lookups.iter().position(|completion| completion.token() == token);
        let late = lookup.map(|place| pending.lookups.swap_remove(place).complete(LookupVerdict::Deny));
        let connect = pending.connects.iter().position(|completion| completion.token() == token);
        let late =
            late.or_else(|| connect.map(|place| pending.connects.swap_remove(place).complete(ConnectVerdict::Accept)));
        drop(pending);
        self.say(&format!("cancel {late:?}"));
        self.maybe_panic("cancel");
    }
}

impl TimerPlugin for Puppet {
    fn on_timer(&self, _: Token, user: u64) {
        self.say(&format!("timer {user}"));
        self.maybe_panic("on_timer");
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.say("destroyed");
        self.maybe_panic("destroy");
    }
}

introd_plugin::export!(Puppet, timer);
