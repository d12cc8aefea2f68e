//! What plugins answer.

use std::cell::Cell;
use std::ptr;

use introd_plugin::abi::{self, introd_address, introd_answer, introd_bytes, introd_verdict};
use rtmfp::{Origin, PeerId, TaggedAddress};

use introd_policy::MAX_ADDRESSES;

/// The most bytes of a text or of a URI that a client is sent.
const MAX_TEXT: usize = 1024;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    /// `create`
    Create,
    /// `lookup`
    Lookup,
    /// `connect`
    Connect,
    /// `lookup` of a registry
    Registry,
}

/// A plugin's decision.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// Whoever is next decides.
    Continue,
    /// Lookup, registry: these addresses, at least one.
    Redirect(Vec<TaggedAddress>),
    /// Lookup: introduce this peer.
    Introduce(PeerId),
    /// Lookup: a counted no.
    Deny,
    /// Lookup: silence.
    Ignore,
    /// Connect: turn the client away with this text.
    Reject(String),
    /// Connect: send the client to this URI.
    Move(String),
    /// Registry: nobody knows the peer.
    NotFound,
    /// There is no decision, and why.
    Failed(String),
}

/// What comes of a question.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The decision.
    Verdict(Verdict),
    /// It comes later, under this token.
    Pending(u64),
}

/// Where an answer goes to while a callback runs.
pub(super) struct Answer {
    pub(super) question: Question,
    pub(super) owner: u32,
    /// The worker that asks.
    pub(super) worker: u8,
    pub(super) verdict: Option<(i32, Verdict)>,
    pub(super) token: Option<u64>,
    /// Where a registry's answer goes to, until it is deferred.
    pub(super) reply: Option<tokio::sync::oneshot::Sender<Verdict>>,
}

thread_local! {
    /// The answer of the callback that runs on this thread.
    static CURRENT: Cell<*mut Answer> = const { Cell::new(ptr::null_mut()) };
}

impl Answer {
    pub(super) fn new(question: Question, owner: u32, worker: u8) -> Self {
        Self { question, owner, worker, verdict: None, token: None, reply: None }
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

    /// What the callback has answered that returned `status`, unless it is pending.
    pub(super) fn verdict(&mut self, status: i32) -> Verdict {
        if let Some((kind, verdict)) = self.verdict.take()
            && kind == status
        {
            return verdict;
        }
        simple(self.question, status).unwrap_or_else(|| Verdict::Failed(no_verdict(status)))
    }
}

/// The verdict whose kind says all.
fn simple(question: Question, kind: i32) -> Option<Verdict> {
    match (question, kind) {
        (Question::Lookup | Question::Connect | Question::Create, abi::INTROD_CONTINUE) => Some(Verdict::Continue),
        (Question::Lookup, abi::INTROD_DENY) => Some(Verdict::Deny),
        (Question::Lookup, abi::INTROD_IGNORE) => Some(Verdict::Ignore),
        (Question::Registry, abi::INTROD_NOT_FOUND) => Some(Verdict::NotFound),
        (_, kind) if kind < 0 => Some(Verdict::Failed(error_name(kind).to_owned())),
        _ => None,
    }
}

fn no_verdict(status: i32) -> String {
    match status {
        abi::INTROD_REDIRECT | abi::INTROD_INTRODUCE | abi::INTROD_REJECT => {
            format!("it returned verdict {status} without saying more by `answer`")
        }
        abi::INTROD_PENDING => "it returned INTROD_PENDING without a token of `defer`".to_owned(),
        _ => format!("it returned {status}, which is no verdict here"),
    }
}

/// An error in words.
pub(super) fn error_name(status: i32) -> &'static str {
    match status {
        abi::INTROD_E_FAILED => "it failed",
        abi::INTROD_E_ARGUMENT => "it does not take what it was given",
        abi::INTROD_E_TOKEN => "it does not know the token",
        abi::INTROD_E_PANIC => "it panicked",
        abi::INTROD_E_UNSUPPORTED => "it cannot do that",
        abi::INTROD_E_FULL => "it has no room",
        abi::INTROD_E_GONE => "whom it concerns is gone",
        abi::INTROD_E_UNAVAILABLE => "what it needs cannot be reached",
        _ => "it returned an error of no name",
    }
}

/// Copies a verdict; `None` if it makes no sense as an answer to the question.
///
/// # Safety
/// A verdict that is not null is valid for as long as it says, and so is what it points to.
pub(super) unsafe fn read(question: Question, verdict: *const introd_verdict) -> Option<(i32, Verdict)> {
    // SAFETY: the caller says so. The size stands first.
    let size = *unsafe { verdict.cast::<u32>().as_ref() }?;
    if (size as usize) < size_of::<introd_verdict>() {
        return None;
    }
    // SAFETY: it is as long as the type.
    let raw = unsafe { *verdict };
    // SAFETY: what it points to is valid.
    let read = unsafe {
        match (question, raw.kind) {
            (Question::Lookup | Question::Registry, abi::INTROD_REDIRECT) => {
                Verdict::Redirect(addresses(raw.addresses, raw.address_count)?)
            }
            (Question::Lookup, abi::INTROD_INTRODUCE) => Verdict::Introduce(PeerId(raw.peer.as_ref()?.bytes)),
            (Question::Connect, abi::INTROD_REJECT) => Verdict::Reject(text(raw.text)?),
            (Question::Connect, abi::INTROD_REDIRECT) => {
                let uri = text(raw.uri)?;
                if uri.is_empty() || uri.len() < raw.uri.len {
                    return None;
                }
                Verdict::Move(uri)
            }
            (_, kind) if kind < 0 => {
                let why = text(raw.text).unwrap_or_default();
                Verdict::Failed(if why.is_empty() { error_name(raw.kind).to_owned() } else { why })
            }
            (_, kind) => simple(question, kind)?,
        }
    };
    Some((raw.kind, read))
}

/// Addresses that can be sent: the first [`MAX_ADDRESSES`] of them. `None` if there are none, or one is none.
///
/// # Safety
/// The array is valid.
pub(super) unsafe fn addresses(first: *const introd_address, count: usize) -> Option<Vec<TaggedAddress>> {
    if first.is_null() || count == 0 {
        return None;
    }
    // SAFETY: the caller says so.
    let raw = unsafe { std::slice::from_raw_parts(first, count.min(MAX_ADDRESSES)) };
    raw.iter().map(address).collect()
}

/// An address; `None` if it is of neither family.
pub(super) fn address(raw: &introd_address) -> Option<TaggedAddress> {
    if !matches!(raw.family, 4 | 6) {
        return None;
    }
    let introd_plugin::Address { socket, origin } = (*raw).into();
    let origin = match origin {
        introd_plugin::Origin::Unspecified => Origin::Unspecified,
        introd_plugin::Origin::Reported => Origin::Reported,
        introd_plugin::Origin::Observed => Origin::Observed,
        introd_plugin::Origin::Relay => Origin::Relay,
    };
    Some(TaggedAddress::new(socket, origin))
}

/// An address as plugins have it.
pub(super) fn raw_address(address: TaggedAddress) -> introd_address {
    let origin = match address.origin {
        Origin::Unspecified => introd_plugin::Origin::Unspecified,
        Origin::Reported => introd_plugin::Origin::Reported,
        Origin::Observed => introd_plugin::Origin::Observed,
        Origin::Relay => introd_plugin::Origin::Relay,
    };
    let mut socket = address.address;
    socket.set_ip(socket.ip().to_canonical());
    introd_plugin::Address::new(socket, origin).into()
}

/// A text of at most [`MAX_TEXT`] bytes: what is beyond is cut off. `None` if it is no text.
///
/// # Safety
/// The memory is valid.
pub(super) unsafe fn text(raw: introd_bytes) -> Option<String> {
    if raw.len == 0 {
        return Some(String::new());
    }
    if raw.ptr.is_null() {
        return None;
    }
    let most = raw.len.min(MAX_TEXT);
    // SAFETY: the caller says so.
    let bytes = unsafe { std::slice::from_raw_parts(raw.ptr, most) };
    match std::str::from_utf8(bytes) {
        Ok(text) => Some(text.to_owned()),
        // Cut in the middle of a character.
        Err(error) if most < raw.len && error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok().map(str::to_owned)
        }
        Err(_) => None,
    }
}
