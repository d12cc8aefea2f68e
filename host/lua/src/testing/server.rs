//! The server around a script under test: it decides as the real one does, without a network.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use introd_config::{Application, LookupMode, Policy};
use introd_flash::server::Rejection;
use introd_policy::decision::{
    ConnectDecision, ConnectInput, ConnectStep, DecidingApplication, Guard, LookupAction, LookupContext,
    LookupDecision, LookupInput, LookupStep, PendingRequests,
};
use introd_policy::message::{AppEvent, ClientCommand, ClientId, ClientInfo, Offer, PeerLookup};
use introd_policy::{Addresses, InstanceId, Introduction, Peer, RelayTerms, RelayWish, RequestId, Verdict};
use rtmfp::{Lookup, PeerId, SessionId, TaggedAddress};

/// The instance under test.
const INSTANCE: InstanceId = InstanceId(0);

/// What has come of the script's verdicts and commands.
#[derive(Debug)]
pub(crate) enum Effect {
    /// The script acts on a client.
    Command(ClientCommand),
    /// A client is accepted.
    Accept { client: ClientId },
    /// A client is rejected.
    Reject { client: ClientId, rejection: Rejection },
    /// The asker is sent to these addresses.
    Redirect { lookup: Lookup, addresses: Addresses },
    /// A lookup is denied.
    Deny { lookup: Lookup, reason: Cow<'static, str> },
    /// The server answers a lookup itself: it introduces the two, or asks the registry.
    BuiltIn { lookup: Lookup },
    /// The server introduces the two, with the relay that the script wants.
    Relay { lookup: Lookup, terms: RelayTerms },
}

/// The application under test, or another one whose name is all that counts.
#[derive(Clone)]
pub(crate) struct App {
    settings: Arc<Application>,
    name: Box<str>,
}

impl DecidingApplication for App {
    fn instance(&self) -> Option<InstanceId> {
        Some(INSTANCE)
    }

    fn plugins(&self) -> usize {
        0
    }

    fn has_script(&self) -> bool {
        true
    }

    fn lookup_mode(&self) -> LookupMode {
        self.settings.peer_lookup_events
    }

    fn policy(&self) -> Policy {
        self.settings.policy
    }
}

/// The clients that are in, and the target of a lookup of another application, which is taken to be one.
struct Context<'a> {
    clients: &'a HashMap<PeerId, Peer>,
    target: Option<PeerId>,
}

impl LookupContext for Context<'_> {
    type Application = App;

    fn peer(&self, id: &PeerId) -> Option<Peer> {
        let unseen = || {
            let (owner, observed) = (SessionId::from_wire(u32::MAX), SocketAddr::from(([203, 0, 113, 1], 1)));
            Peer { owner, instance: INSTANCE.0, observed, reported: Default::default(), is_silent: false }
        };
        self.clients.get(id).cloned().or_else(|| (self.target == Some(*id)).then(unseen))
    }

    fn guard(&self, _: &Peer) -> Guard<App> {
        Guard::Open
    }

    fn is_guarded(&self, _: &Peer) -> bool {
        false
    }

    fn application_of(&self, _: SessionId) -> Option<App> {
        None
    }

    fn bars(&self, _: &App, _: IpAddr, _: bool) -> bool {
        false
    }

    fn shares_registry(&self) -> bool {
        false
    }

    fn elsewhere(&self, addresses: &[TaggedAddress], _: SocketAddr) -> Addresses {
        Addresses::from_slice(addresses)
    }
}

/// What waits for the script.
enum Waiting {
    Connect(ClientId, Box<ClientInfo>, ConnectDecision<App>),
    Lookup(Box<LookupDecision<App>>),
}

/// Decides about the connects and lookups of a test.
pub(crate) struct Server {
    app: App,
    pending: PendingRequests<Waiting>,
    clients: HashMap<PeerId, Peer>,
    accepted: HashSet<SessionId>,
}

impl Server {
    pub(crate) fn new(settings: Arc<Application>) -> Self {
        let app = App { settings, name: "".into() };
        Self { app, pending: PendingRequests::new(0), clients: HashMap::new(), accepted: HashSet::new() }
    }

    /// A client asks to connect. What the script is told.
    pub(crate) fn connect(&mut self, now: Instant, client: ClientId, info: ClientInfo) -> Option<AppEvent> {
        let request = self.pending.next_id()?;
        let mut decision = ConnectDecision::new(self.app.clone());
        decision.advance(ConnectInput::Begin);
        let event = AppEvent::Connect { request, client, info: Arc::new(info.clone()) };
        let deadline = now + self.app.policy().deadline;
        let waiting = Waiting::Connect(client, Box::new(info), decision);
        self.pending.insert(request, deadline, Some(client.session), waiting);
        Some(event)
    }

    /// A lookup comes, of an asker that is a client of another application if that is named, and that has asked so many times with this time.
    /// What the script is told, or what the server answers at once.
    pub(crate) fn look_up(
        &mut self,
        now: Instant,
        lookup: Lookup,
        asker: Option<ClientId>,
        application: Option<&str>,
        attempt: u32,
    ) -> Option<Result<AppEvent, Effect>> {
        let request = self.pending.next_id()?;
        let decision = match application {
            Some(name) => {
                let home = App { settings: Arc::clone(&self.app.settings), name: name.into() };
                LookupDecision::consenting(lookup, self.app.clone(), Some(home), Offer::Introduction)
            }
            None => LookupDecision::new(lookup, self.app.clone(), asker.is_some()),
        };
        let mut decision = decision.with_attempt(attempt);
        let context = context(&self.clients, &decision);
        let target = decision.lookup().target.and_then(|target| context.peer(&target));
        match decision.advance(LookupInput::Begin(target), &context) {
            LookupStep::AskScript => {
                let lookup = decision.lookup();
                let event = AppEvent::PeerLookup(PeerLookup {
                    request,
                    target: lookup.target,
                    initiator: lookup.initiator,
                    tag: lookup.tag.clone(),
                    attempt: decision.attempt(),
                    interface: lookup.interface,
                    asker,
                    proposal: decision.proposal(|home| home.name.clone()),
                });
                self.pending.insert(
                    request,
                    now + self.app.policy().deadline,
                    None,
                    Waiting::Lookup(Box::new(decision)),
                );
                Some(Ok(event))
            }
            step => effect(step, &decision).map(Err),
        }
    }

    /// The script has decided. One that was late decides nothing.
    pub(crate) fn decided(&mut self, request: RequestId, verdict: Verdict) -> Option<Effect> {
        match self.pending.take(request)? {
            Waiting::Connect(client, info, mut decision) => {
                let step = decision.advance(ConnectInput::Verdict(verdict));
                self.connected(client, &info, step)
            }
            Waiting::Lookup(mut decision) => {
                let context = context(&self.clients, &decision);
                let step = decision.advance(LookupInput::Verdict(verdict), &context);
                effect(step, &decision)
            }
        }
    }

    /// The next request whose deadline has passed, and what comes of that.
    pub(crate) fn take_late(&mut self, now: Instant) -> Option<(RequestId, Option<Effect>)> {
        let (request, waiting) = self.pending.take_late(now)?;
        let effect = match waiting {
            Waiting::Connect(client, info, mut decision) => {
                let step = decision.advance(ConnectInput::Late);
                self.connected(client, &info, step)
            }
            Waiting::Lookup(mut decision) => {
                let context = context(&self.clients, &decision);
                let step = decision.advance(LookupInput::Late, &context);
                effect(step, &decision)
            }
        };
        Some((request, effect))
    }

    fn connected(&mut self, client: ClientId, info: &ClientInfo, step: ConnectStep) -> Option<Effect> {
        match step {
            ConnectStep::Accept => {
                let (owner, observed) = (client.session, info.far_address);
                let peer =
                    Peer { owner, instance: INSTANCE.0, observed, reported: Default::default(), is_silent: false };
                self.clients.insert(info.far_id, peer);
                self.accepted.insert(client.session);
                Some(Effect::Accept { client })
            }
            ConnectStep::Reject(_, rejection) => Some(Effect::Reject { client, rejection: *rejection }),
            ConnectStep::AskPlugin(_) | ConnectStep::AskScript | ConnectStep::Wait(_) => None,
        }
    }

    /// A client has left. Gives back whether it had been accepted.
    pub(crate) fn disconnect(&mut self, client: ClientId) -> bool {
        self.pending.take_of_session(client.session);
        self.clients.retain(|_, peer| peer.owner != client.session);
        self.accepted.remove(&client.session)
    }

    /// When the first deadline passes.
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.pending.next_deadline()
    }
}

fn context<'a>(clients: &'a HashMap<PeerId, Peer>, decision: &LookupDecision<App>) -> Context<'a> {
    Context { clients, target: decision.lookup().target.filter(|_| decision.is_consent()) }
}

fn effect(step: LookupStep, decision: &LookupDecision<App>) -> Option<Effect> {
    let lookup = decision.lookup().clone();
    match step {
        LookupStep::AskRegistry(_) => Some(Effect::BuiltIn { lookup }),
        LookupStep::Execute(action) => match action {
            LookupAction::Redirect(addresses) => Some(Effect::Redirect { lookup, addresses }),
            LookupAction::Deny(denial) => Some(Effect::Deny { lookup, reason: denial.reason }),
            LookupAction::Introduce(Introduction { relay: RelayWish { asker, target }, .. }) => {
                // Only one application is asked in a test: where both sides have terms, they are the same.
                Some(match asker.or(target) {
                    Some(terms) => Effect::Relay { lookup, terms },
                    None => Effect::BuiltIn { lookup },
                })
            }
            LookupAction::UnknownTarget => Some(Effect::BuiltIn { lookup }),
            LookupAction::Ignore | LookupAction::Unanswered | LookupAction::Unresolved(_) => None,
        },
        LookupStep::AskPlugin(_) | LookupStep::AskScript | LookupStep::Wait(_) => None,
    }
}
