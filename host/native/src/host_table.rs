//! The functions of the host's main table.

use introd_plugin::abi::{
    self, introd_address, introd_answer, introd_bytes, introd_client, introd_host, introd_peer, introd_peer_id,
    introd_token, introd_verdict,
};
use rtmfp::PeerId;

use super::answer::{self, Answer, Subject};
use super::context::Context;
use super::guarded::{guarded, sent};
use super::host_state::PendingVerdict;
use super::values::{self, raw_client, raw_observed, raw_reported, session};

/// The longest tag in bytes: RFC 7016 has no limit, the engine takes this many.
const MAX_TAG: usize = 64;

pub(super) unsafe extern "C" fn answer(
    host: *const introd_host,
    named: *mut introd_answer,
    verdict: *const introd_verdict,
) -> i32 {
    guarded(abi::INTROD_E_ARGUMENT, || {
        // SAFETY: the plugin gives its host's table, and a verdict that is valid for the call.
        unsafe {
            let context = Context::of(host)?;
            Answer::with(named, context.owner, |answer| {
                let (kind, read) = answer::read(answer.subject, verdict)?;
                answer.verdict = Some((kind, read));
                Some(kind)
            })?
        }
    })
}

pub(super) unsafe extern "C" fn defer(host: *const introd_host, named: *mut introd_answer) -> introd_token {
    guarded(0, || {
        // SAFETY: the plugin gives its host's table.
        let context = unsafe { Context::of(host) }?;
        Answer::with(named, context.owner, |answer| {
            if answer.token.is_some() {
                return None;
            }
            let pending = match answer.subject {
                Subject::Create => return None,
                Subject::Lookup | Subject::Connect => {
                    PendingVerdict::Request { request: answer.request?, subject: answer.subject }
                }
                Subject::Registry | Subject::Neighbors => {
                    PendingVerdict::Registry { reply: answer.reply.take()?, subject: answer.subject }
                }
            };
            answer.token = context.state.tokens.insert(context.owner, pending);
            answer.token
        })?
    })
}

pub(super) unsafe extern "C" fn complete(
    host: *const introd_host,
    token: introd_token,
    verdict: *const introd_verdict,
) -> i32 {
    guarded(abi::INTROD_E_TOKEN, || {
        // SAFETY: the plugin gives its host's table.
        let context = unsafe { Context::of(host) }?;
        let tokens = &context.state.tokens;
        let subject = tokens.peek(context.owner, token, PendingVerdict::subject)?;
        // SAFETY: the plugin gives a verdict that is valid for the call.
        let Some((_, read)) = (unsafe { answer::read(subject, verdict) }) else {
            return Some(abi::INTROD_E_ARGUMENT);
        };
        let pending = tokens.take(context.owner, token)?;
        context.state.deliver(pending, read);
        Some(abi::INTROD_OK)
    })
}

pub(super) unsafe extern "C" fn find_peer(
    host: *const introd_host,
    id: *const introd_peer_id,
    peer: *mut introd_peer,
) -> i32 {
    guarded(abi::INTROD_E_ARGUMENT, || {
        // SAFETY: the plugin gives its host's table, an id, and a peer with its size that are valid for the call.
        let (context, id, size) = unsafe { (Context::of(host)?, id.as_ref()?, *peer.cast::<u32>().as_ref()?) };
        if (size as usize) < size_of::<introd_peer>() {
            return None;
        }
        // SAFETY: it is as long as the type, and belongs to the plugin for the call.
        let peer = unsafe { &mut *peer };
        let Some(found) = context.state.server_access().and_then(|server| server.find(&PeerId(id.bytes))) else {
            return Some(abi::INTROD_NOT_FOUND);
        };
        let room = if peer.reported.is_null() { 0 } else { peer.reported_count as usize };
        let reported = found.reported.iter().take(room);
        let mut count = 0;
        for address in reported {
            // SAFETY: the plugin has room for `reported_count` addresses there.
            unsafe { peer.reported.add(count).write(raw_reported(*address)) };
            count += 1;
        }
        peer.reported_count = count as u32;
        peer.client = raw_client(found.owner, PeerId(id.bytes));
        peer.observed = raw_observed(found.observed);
        Some(abi::INTROD_OK)
    })
}

pub(super) unsafe extern "C" fn introduce(
    host: *const introd_host,
    target: *const introd_peer_id,
    initiator: *const introd_address,
    tag: introd_bytes,
) -> i32 {
    guarded(abi::INTROD_E_ARGUMENT, || {
        // SAFETY: the plugin gives its host's table, and the rest is valid for the call.
        let (context, target, initiator) = unsafe { (Context::of(host)?, target.as_ref()?, initiator.as_ref()?) };
        let initiator = values::address(initiator)?.address;
        if tag.len > MAX_TAG || tag.len > 0 && tag.ptr.is_null() {
            return None;
        }
        let tag = match tag.len {
            0 => &[],
            // SAFETY: the tag is valid for the call.
            length => unsafe { std::slice::from_raw_parts(tag.ptr, length) },
        };
        let server = context.state.server_access()?;
        let id = PeerId(target.bytes);
        let Some(target) = server.find(&id) else { return Some(abi::INTROD_NOT_FOUND) };
        Some(sent(server.introduce(&id, &target, initiator, tag)))
    })
}

pub(super) unsafe extern "C" fn disconnect(host: *const introd_host, client: *const introd_client) -> i32 {
    guarded(abi::INTROD_E_ARGUMENT, || {
        // SAFETY: the plugin gives its host's table, and a client that is valid for the call.
        let (context, client) = unsafe { (Context::of(host)?, client.as_ref()?) };
        let server = context.state.server_access()?;
        Some(sent(server.disconnect(session(client)?, PeerId(client.peer.bytes))))
    })
}
