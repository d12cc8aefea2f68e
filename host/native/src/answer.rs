//! The answers of plugins: what a plugin says while a callback runs, and the verdict that comes of it.

use std::cell::Cell;
use std::mem::offset_of;
use std::ptr;
use std::time::Duration;

use introd_flash::server::Rejection;
use introd_plugin::abi::{self, introd_answer, introd_verdict};
use introd_policy::{Addresses, RelayTerms, RelayVerdict, RequestId, Verdict};
use rtmfp::PeerId;

use super::values::{addresses, error_name, filled_up, members, text};

/// What a plugin is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// `create`
    Create,
    /// `lookup`
    Lookup,
    /// `connect`
    Connect,
    /// `lookup` of a registry
    Registry,
    /// `neighbors` of a registry of groups
    Neighbors,
}

/// What a plugin that was asked for a verdict answers.
#[derive(Clone, Debug, PartialEq)]
pub enum PluginAnswer {
    /// The decision.
    Verdict(Verdict),
    /// It comes later, under this token.
    Pending(u64),
}

/// Takes the answer of a callback while it runs.
pub(super) struct Answer {
    pub(super) subject: Subject,
    pub(super) owner: u32,
    /// The request that a verdict which comes later is for; `None` where none may come later, or by another way.
    pub(super) request: Option<RequestId>,
    pub(super) verdict: Option<(i32, Verdict)>,
    pub(super) token: Option<u64>,
    /// Receives the verdict of a registry's `lookup` or `neighbors` that the plugin defers.
    pub(super) reply: Option<tokio::sync::oneshot::Sender<Verdict>>,
}

thread_local! {
    /// The answer of the callback that runs on this thread.
    static CURRENT: Cell<*mut Answer> = const { Cell::new(ptr::null_mut()) };
}

impl Answer {
    pub(super) fn new(subject: Subject, owner: u32, request: Option<RequestId>) -> Self {
        Self { subject, owner, request, verdict: None, token: None, reply: None }
    }

    /// Runs a callback that may answer here.
    pub(super) fn during<R>(&mut self, callback: impl FnOnce(*mut introd_answer) -> R) -> R {
        let own = ptr::from_mut(self);
        let outer = CURRENT.replace(own);
        let result = callback(own.cast());
        CURRENT.set(outer);
        result
    }

    /// Works on the answer that a plugin names, if it is that of the callback that runs on this thread.
    pub(super) fn with<R>(named: *mut introd_answer, owner: u32, work: impl FnOnce(&mut Self) -> R) -> Option<R> {
        let current = CURRENT.get();
        if current.is_null() || !ptr::eq(current.cast(), named) {
            return None;
        }
        // SAFETY: `during` keeps it alive and does not touch it while the callback runs, and the callback runs on this thread.
        // Nothing that `work` does calls back into a plugin.
        let answer = unsafe { &mut *current };
        (answer.owner == owner).then(|| work(answer))
    }

    /// The verdict of a callback that returned `status`, unless it is pending.
    pub(super) fn verdict(&mut self, status: i32) -> Verdict {
        if let Some((kind, verdict)) = self.verdict.take()
            && kind == status
        {
            return verdict;
        }
        simple(self.subject, status).unwrap_or_else(|| Verdict::Failed(no_verdict(status)))
    }
}

/// The verdict of a kind that needs no further values.
fn simple(subject: Subject, kind: i32) -> Option<Verdict> {
    match (subject, kind) {
        (Subject::Lookup | Subject::Connect | Subject::Create, abi::INTROD_CONTINUE) => Some(Verdict::Continue),
        (Subject::Lookup, abi::INTROD_DENY) => Some(Verdict::Deny(None)),
        (Subject::Lookup, abi::INTROD_IGNORE) => Some(Verdict::Ignore),
        (Subject::Lookup, abi::INTROD_RELAY) => {
            Some(Verdict::Relay(RelayVerdict { peer: None, terms: RelayTerms::default() }))
        }
        // No server knows the peer.
        (Subject::Registry, abi::INTROD_NOT_FOUND) => Some(Verdict::Redirect(Addresses::new())),
        (_, kind) if kind < 0 => Some(Verdict::Failed(error_name(kind).to_owned())),
        _ => None,
    }
}

fn no_verdict(status: i32) -> String {
    match status {
        abi::INTROD_REDIRECT | abi::INTROD_INTRODUCE | abi::INTROD_REJECT | abi::INTROD_MEMBERS => {
            format!("it returned verdict {status} without saying more by `answer`")
        }
        abi::INTROD_PENDING => "it returned INTROD_PENDING without a token of `defer`".to_owned(),
        _ => format!("it returned {status}, which is no verdict here"),
    }
}

/// Copies a verdict; `None` if it makes no sense for what was asked.
///
/// # Safety
/// A verdict that is not null is valid for as long as it says, and so is what it points to.
pub(super) unsafe fn read(subject: Subject, verdict: *const introd_verdict) -> Option<(i32, Verdict)> {
    // SAFETY: the caller says so. Version 1.0 ended with the URI; members that are not there are none.
    let raw = unsafe { filled_up(verdict, offset_of!(introd_verdict, members)) }?;
    // SAFETY: what it points to is valid.
    let read = unsafe {
        match (subject, raw.kind) {
            (Subject::Lookup | Subject::Registry, abi::INTROD_REDIRECT) => {
                Verdict::Redirect(addresses(raw.addresses, raw.address_count)?.into())
            }
            (Subject::Neighbors, abi::INTROD_MEMBERS) => Verdict::Members(members(raw.members, raw.member_count)?),
            (Subject::Lookup, abi::INTROD_INTRODUCE) => Verdict::Introduce(PeerId(raw.peer.as_ref()?.bytes)),
            (Subject::Lookup, abi::INTROD_RELAY) => {
                let peer = raw.peer.as_ref().map(|peer| PeerId(peer.bytes));
                Verdict::Relay(RelayVerdict { peer, terms: relay_terms(&raw) })
            }
            (Subject::Connect, abi::INTROD_REJECT) => Verdict::Reject(Box::new(Rejection::rejected(&text(raw.text)?))),
            (Subject::Connect, abi::INTROD_REDIRECT) => {
                let uri = text(raw.uri)?;
                if uri.is_empty() || uri.len() < raw.uri.len {
                    return None;
                }
                let mut rejection = Rejection::rejected(format!("connect to {uri} instead"));
                rejection.redirect = Some(uri);
                Verdict::Reject(Box::new(rejection))
            }
            (_, kind) if kind < 0 => {
                let why = text(raw.text).unwrap_or_default();
                Verdict::Failed(if why.is_empty() { error_name(raw.kind).to_owned() } else { why })
            }
            (_, kind) => simple(subject, kind)?,
        }
    };
    Some((raw.kind, read))
}

/// The limits that a plugin sets for a relay: 0 is none.
fn relay_terms(raw: &introd_verdict) -> RelayTerms {
    let (rate, lifetime) = (raw.relay_bytes_per_second, Duration::from_millis(raw.relay_lifetime_ms));
    RelayTerms {
        bytes_per_second: (rate != 0).then_some(rate),
        lifetime: (!lifetime.is_zero()).then_some(lifetime.min(RelayTerms::MAX_LIFETIME)),
    }
}

#[cfg(test)]
mod tests;
