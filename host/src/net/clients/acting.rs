//! Doing what a client's NetConnection wants done.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::flow::{Delivery, FlowOptions, RecvFlowId};
use rtmfp::{Endpoint, InterfaceId, SessionId};

use super::{CLOSE_PATIENCE, Client, Closing, Services};
use crate::flash::client::CLIENT_ADDRESS;
use crate::flash::peer_info::{PeerInfo, behind_nat};
use crate::flash::server::{Action, ConnectRequest};
use crate::net::listener::Listener;
use crate::net::mail::MailSender;
use crate::net::ports::Ports;

/// One client's turn.
pub(super) struct Acting<'a> {
    pub(super) now: Instant,
    pub(super) endpoint: &'a mut Endpoint,
    pub(super) session: SessionId,
    pub(super) listeners: &'a [Listener],
    pub(super) mailboxes: &'a [MailSender],
    pub(super) ports: &'a Ports,
    pub(super) services: &'a Services,
    pub(super) actions: &'a mut Vec<Action>,
    pub(super) doomed: &'a mut BTreeSet<(Instant, SessionId)>,
}

impl Acting<'_> {
    pub(super) fn act(&mut self, client: &mut Client, action: Action) {
        let (now, session) = (self.now, self.session);
        match action {
            Action::OpenFlow { stream, return_of, metadata } => {
                let options = FlowOptions { return_of: Some(RecvFlowId(return_of)), ..FlowOptions::default() };
                match self.endpoint.open_flow(now, session, &metadata, options) {
                    Ok(flow) => client.sending.push((stream, flow)),
                    Err(error) => tracing::debug!(%session, stream, %error, "flow not opened"),
                }
            }
            Action::Send { stream, message } => {
                let Some((_, flow)) = client.sending.iter().find(|(id, _)| *id == stream) else { return };
                let age = self.services.max_unsent_age;
                let delivery = Delivery { start_by: age.map(|age| now + age), ..Delivery::default() };
                if let Err(error) = self.endpoint.send(now, session, *flow, message, delivery) {
                    // A client that takes nothing in has had its time: what it was owed cannot be kept for ever.
                    tracing::info!(%session, stream, %error, "client does not take its messages: closed");
                    self.endpoint.close(now, session);
                }
            }
            Action::CloseFlow { stream } => {
                if let Some((_, flow)) = client.sending.iter().find(|(id, _)| *id == stream) {
                    let _ = self.endpoint.with_flows(now, session, |flows| flows.close(*flow));
                }
            }
            Action::Connect(request) => self.connect(client, &request),
            Action::SetPeerInfo(info) => self.set_peer_info(client, &info),
            Action::Call(call) => {
                tracing::debug!(%session, method = %call.name, "call of an unknown method");
                client.connection.refuse_call(&call, self.actions);
            }
            Action::CloseSession { reason, control_flow } => {
                tracing::debug!(%session, ?reason, "closing");
                for (_, flow) in &client.sending {
                    let _ = self.endpoint.with_flows(now, session, |flows| flows.close(*flow));
                }
                client.closing = Some(Closing { control_flow });
                self.doomed.insert((now + CLOSE_PATIENCE, session));
            }
            Action::Report(report) => tracing::debug!(%session, %report, "from a client"),
            Action::GroupMessage { flow, message } => self.group_message(client, flow, &message),
            Action::GroupFlowClosed { flow } => self.group_flow_closed(client, flow),
            Action::Answer { .. } | Action::PingResponse { .. } => (),
        }
    }

    fn listener(&self, interface: InterfaceId) -> Option<&Listener> {
        self.listeners.get(usize::from(self.ports.lookup(interface)?.socket))
    }

    fn connect(&mut self, client: &mut Client, request: &ConnectRequest) {
        let session = self.session;
        let Some(info) = self.endpoint.session(session) else { return };
        let adaptor = self.listener(info.interface).map_or(0, |listener| listener.adaptor);
        let applications = &self.services.applications;
        let answer = match applications.admit(adaptor, request, info.far_address.ip()) {
            Ok(seat) => {
                tracing::info!(
                    %session,
                    peer = %info.peer_id,
                    address = %info.far_address,
                    app = %seat.instance().name(),
                    agent = %request.agent,
                    "client connected"
                );
                let instance = seat.instance().id().0;
                client.place = Some((info.peer_id, seat));
                self.services.directory.connect(info.peer_id, session, instance, info.far_address);
                let seen = (CLIENT_ADDRESS.to_owned(), info.far_address.to_string().into());
                client.connection.accept(vec![seen], self.actions)
            }
            Err(refusal) => {
                tracing::info!(%session, address = %info.far_address, uri = %request.tc_url, %refusal, "client refused");
                client.connection.reject(refusal.to_rejection(), self.actions)
            }
        };
        if let Err(error) = answer {
            tracing::warn!(%session, %error, "connect could not be answered");
        }
        self.advise_keepalive(client, &[]);
    }

    fn set_peer_info(&mut self, client: &mut Client, info: &PeerInfo) {
        let session = self.session;
        for skipped in &info.skipped {
            tracing::debug!(%session, entry = %skipped.text, reason = %skipped.reason, "setPeerInfo entry skipped");
        }
        tracing::debug!(%session, addresses = ?info.addresses, "setPeerInfo");
        if let Some(peer) = self.endpoint.session(session).map(|session| session.peer_id) {
            self.services.directory.set_reported(&peer, session, &info.addresses);
        }
        self.advise_keepalive(client, &info.addresses);
    }

    /// Until a client has told its addresses, it is taken to be behind a NAT.
    fn advise_keepalive(&mut self, client: &mut Client, reported: &[SocketAddr]) {
        let Some(info) = self.endpoint.session(self.session) else { return };
        let config = self.services.applications.config();
        let adaptor = self.listener(info.interface).and_then(|listener| config.all_adaptors().nth(listener.adaptor));
        let rtmfp = &adaptor.unwrap_or(&config.default_adaptor).rtmfp;
        let is_translated = behind_nat(info.far_address, reported);
        let keepalive = if is_translated { rtmfp.keepalive_nat } else { rtmfp.keepalive_no_nat };
        let millis = |period: Duration| u32::try_from(period.as_millis()).unwrap_or(u32::MAX);
        client.connection.set_keepalive_timers(millis(keepalive.server), millis(keepalive.peers), self.actions);
    }
}
