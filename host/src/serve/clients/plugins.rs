//! Between the clients of a worker and the native plugins of their applications.

use std::net::SocketAddr;
use std::time::Instant;

use rtmfp::{Endpoint, SessionId};

use super::acting::Acting;
use super::{Client, Clients};
use crate::apps::Seat;
use crate::serve::pending::{Waiting, WaitingConnect};
use introd_config::Fallback;
use introd_flash::server::Rejection;
use introd_native::{Chain, ConnectEvent, Outcome, Place, Verdict};
use introd_policy::message::ClientInfo;
use introd_udp::Ports;

const REJECTED: &str = "NetConnection.Connect.Rejected";

fn rejection(text: &str) -> Rejection {
    Rejection::new(REJECTED, format!("[ Server.Reject ] : {text}"))
}

impl Acting<'_> {
    /// Asks the plugins from the `from`th on about a client that has a seat.
    pub(super) fn ask_plugins(
        &mut self,
        client: &mut Client,
        seat: Seat,
        info: Box<ClientInfo>,
        chain: Chain,
        from: usize,
    ) {
        for index in from..chain.len() {
            let Some(plugin) = chain.get(index) else { break };
            let place = Place::from(seat.instance().name());
            let event = ConnectEvent { session: self.session, info: &info, place };
            match plugin.connect(self.session.prefix(), event) {
                Outcome::Pending(token) => {
                    let patience = seat.instance().settings().policy.deadline;
                    let session = self.session;
                    let waiting = WaitingConnect { session, seat, info, chain, index };
                    self.pendings.insert(self.now, patience, token, Waiting::Connect(Box::new(waiting)));
                    return;
                }
                Outcome::Verdict(verdict) => {
                    if let Some(rejection) = refusal(&seat, verdict) {
                        self.refuse(client, &seat, &info, &chain, index, rejection);
                        return;
                    }
                }
            }
        }
        self.seated(client, seat, info);
    }

    /// A plugin has decided about a client that waited.
    fn resume(&mut self, client: &mut Client, waiting: WaitingConnect, refused: Option<Rejection>) {
        let WaitingConnect { seat, info, chain, index, .. } = waiting;
        match refused {
            Some(rejection) => self.refuse(client, &seat, &info, &chain, index, rejection),
            None => self.ask_plugins(client, seat, info, chain, index + 1),
        }
    }

    /// Turns a client away. The plugins that were asked about it, up to the `last`th, are told that it is gone.
    fn refuse(
        &mut self,
        client: &mut Client,
        seat: &Seat,
        info: &ClientInfo,
        chain: &Chain,
        last: usize,
        rejection: Rejection,
    ) {
        let (session, app) = (self.session, seat.instance().name());
        let policy = chain.get(last).map_or("a plugin", |plugin| plugin.library().name());
        introd_log::refused("connect", info.far_address, app, policy, &rejection.description);
        for plugin in chain.iter().take(last + 1) {
            plugin.disconnect(session, info.far_id, Place::from(app), "turned away");
        }
        self.reject(client, rejection);
    }
}

/// What a client is told that a plugin turns away; `None` if it does not.
fn refusal(seat: &Seat, verdict: Verdict) -> Option<Rejection> {
    match verdict {
        Verdict::Reject(text) => Some(rejection(&text)),
        Verdict::Move(uri) => {
            let mut rejection = rejection(&format!("connect to {uri} instead"));
            rejection.redirect = Some(uri);
            Some(rejection)
        }
        Verdict::Failed(_) => fallback(seat.instance().settings().policy.on_failure, "a plugin has failed"),
        _ => None,
    }
}

/// Silence would leave the client waiting: it is told no.
fn fallback(fallback: Fallback, text: &str) -> Option<Rejection> {
    match fallback {
        Fallback::Deny | Fallback::Ignore => Some(rejection(text)),
        Fallback::Continue => None,
    }
}

impl Clients {
    /// A plugin has decided about a client that waited, or `None` of them in time.
    pub(in crate::serve) fn connect_decided(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        ports: &Ports,
        waiting: WaitingConnect,
        verdict: Option<Verdict>,
    ) {
        let session = waiting.session;
        let policy = waiting.seat.instance().settings().policy;
        let refused = match verdict {
            Some(verdict) => refusal(&waiting.seat, verdict),
            None => fallback(policy.on_deadline, "a plugin takes too long"),
        };
        let Some(client) = self.clients.get_mut(&session) else { return };
        let mut acting = Acting {
            now,
            endpoint,
            session,
            listeners: &self.listeners,
            mailboxes: &self.mailboxes,
            ports,
            services: &self.services,
            pendings: &mut self.pendings,
            actions: &mut self.actions,
            doomed: &mut self.doomed,
            deferred: &mut self.deferred,
            quiet: &mut self.quiet,
        };
        acting.resume(client, waiting, refused);
        self.act(now, endpoint, ports, session);
    }

    /// A client is gone: the plugins are told that were asked about it.
    pub(super) fn tell_plugins_gone(&mut self, session: SessionId, reason: &str) {
        if let Some((token, waiting)) = self.pendings.take_connect(session) {
            let place = Place::from(waiting.seat.instance().name());
            if let Some(plugin) = waiting.chain.get(waiting.index) {
                plugin.cancel(token);
            }
            for plugin in waiting.chain.iter().take(waiting.index + 1) {
                plugin.disconnect(session, waiting.info.far_id, place, reason);
            }
        }
        let Some((peer, seat)) = self.clients.get(&session).and_then(|client| client.place.as_ref()) else { return };
        for plugin in seat.instance().plugins().iter() {
            plugin.disconnect(session, *peer, Place::from(seat.instance().name()), reason);
        }
    }

    /// A client's packets come from another address.
    pub(super) fn tell_plugins_moved(&self, session: SessionId, address: SocketAddr) {
        if let Some(client) = self.clients.get(&session) {
            tell_addresses(client, session, address, None);
        }
    }

    /// Closes the connection of a client, if it is still that peer's.
    pub(in crate::serve) fn disconnect(
        &mut self,
        now: Instant,
        endpoint: &mut Endpoint,
        ports: &Ports,
        session: SessionId,
        peer: rtmfp::PeerId,
    ) {
        if endpoint.session(session).is_none_or(|info| info.peer_id != peer) {
            return;
        }
        let Some(client) = self.clients.get_mut(&session) else { return };
        tracing::info!(%session, %peer, "client is disconnected by a plugin");
        client.connection.close(&mut self.actions);
        self.act(now, endpoint, ports, session);
    }
}

/// Tells the plugins of a client's application of its addresses.
pub(super) fn tell_addresses(
    client: &Client,
    session: SessionId,
    far_address: SocketAddr,
    reported: Option<&[SocketAddr]>,
) {
    let Some((peer, seat)) = &client.place else { return };
    if !client.connection.is_connected() {
        return;
    }
    for plugin in seat.instance().plugins().iter() {
        let place = Place::from(seat.instance().name());
        plugin.addresses_changed(session, *peer, place, far_address, reported);
    }
}
