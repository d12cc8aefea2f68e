//! Verdicts that come later.

use std::fmt;
use std::marker::PhantomData;

use crate::abi;
use crate::host::Host;
use crate::raw::raw;
use crate::values::Token;
use crate::verdict::{Verdict, of_kind};

/// What a callback answers.
#[derive(Debug)]
pub enum Reply<V> {
    /// This is the verdict.
    Now(V),
    /// The verdict comes by a [`Completion`].
    Later(Pending),
    /// There is no verdict, and why. The configuration's `OnFailure` says what happens then.
    Failed(String),
}

/// Says that a [`Completion`] has been taken. Only [`Later::defer`] makes one.
#[derive(Debug)]
pub struct Pending(());

impl<V: Verdict> From<V> for Reply<V> {
    fn from(verdict: V) -> Self {
        Self::Now(verdict)
    }
}

impl<V: Verdict, E: fmt::Display> From<Result<V, E>> for Reply<V> {
    fn from(result: Result<V, E>) -> Self {
        match result {
            Ok(verdict) => Self::Now(verdict),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

/// The way to leave a verdict pending, for as long as the callback runs.
pub struct Later<'a, V> {
    host: Host,
    answer: *mut abi::introd_answer,
    callback: PhantomData<&'a ()>,
    kind: PhantomData<fn(V)>,
}

/// As much is pending as may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoToken;

impl fmt::Display for NoToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too much is pending")
    }
}

impl std::error::Error for NoToken {}

impl<V: Verdict> Later<'_, V> {
    pub(crate) fn new(host: Host, answer: *mut abi::introd_answer) -> Self {
        Self { host, answer, callback: PhantomData, kind: PhantomData }
    }

    /// Leaves the verdict pending: the completion may go to any thread, and the reply is what the callback returns.
    ///
    /// # Errors
    /// If too much is pending already.
    pub fn defer(self) -> Result<(Completion<V>, Reply<V>), NoToken> {
        let token = self.host.defer(self.answer).ok_or(NoToken)?;
        Ok((Completion { host: self.host, token, kind: PhantomData }, Reply::Later(Pending(()))))
    }
}

/// A verdict that is still owed. It is given once: by [`Self::complete`] or [`Self::fail`], which take the completion away, or,
/// when it is dropped, as a failure.
#[derive(Debug)]
pub struct Completion<V: Verdict> {
    host: Host,
    token: u64,
    kind: PhantomData<fn(V)>,
}

/// Nobody waits for the verdict any more: its time was over, or whoever asked is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("nobody waits for this verdict any more")
    }
}

impl std::error::Error for TooLate {}

impl<V: Verdict> Completion<V> {
    /// Names it: [`Plugin::cancel`](crate::Plugin::cancel) says when nobody waits for it any more.
    pub fn token(&self) -> Token {
        Token(self.token)
    }

    /// Gives the verdict.
    ///
    /// # Errors
    /// If nobody waits for it any more. That does no harm.
    pub fn complete(self, verdict: V) -> Result<(), TooLate> {
        let (host, token) = (self.host, self.token);
        std::mem::forget(self);
        let status = verdict.with_raw(|raw| host.complete(token, raw));
        if status == abi::INTROD_E_ARGUMENT {
            // A redirect to nowhere. The token is not to stay behind.
            return fail(host, token, "the verdict makes no sense");
        }
        if status == abi::INTROD_OK { Ok(()) } else { Err(TooLate) }
    }

    /// Says that there will be no verdict, and why. The configuration's `OnFailure` says what happens then.
    ///
    /// # Errors
    /// If nobody waits for it any more. That does no harm.
    pub fn fail(self, reason: &str) -> Result<(), TooLate> {
        let (host, token) = (self.host, self.token);
        std::mem::forget(self);
        fail(host, token, reason)
    }
}

fn fail(host: Host, token: u64, reason: &str) -> Result<(), TooLate> {
    let verdict = abi::introd_verdict { text: raw(reason.as_bytes()), ..of_kind(abi::INTROD_E_FAILED) };
    if host.complete(token, &verdict) == abi::INTROD_OK { Ok(()) } else { Err(TooLate) }
}

impl<V: Verdict> Drop for Completion<V> {
    fn drop(&mut self) {
        let _ = fail(self.host, self.token, "the plugin dropped it without a verdict");
    }
}
