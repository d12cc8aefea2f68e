//! Verdicts that a plugin gives after its callback has returned.

use std::fmt;
use std::marker::PhantomData;

use crate::abi;
use crate::host::Host;
use crate::raw::raw;
use crate::values::Token;
use crate::verdict::{AnyVerdict, of_kind};

/// The reply of a callback.
#[derive(Debug)]
pub enum Reply<V> {
    /// The verdict.
    Now(V),
    /// The verdict comes by a [`Completion`].
    Later(Pending),
    /// There is no verdict, for this reason. `Policy/OnFailure` of the configuration decides instead.
    Failed(String),
}

/// Proof that the callback has taken a [`Completion`]. Only [`Later::defer`] makes one.
#[derive(Debug)]
pub struct Pending(());

impl<V: AnyVerdict> From<V> for Reply<V> {
    fn from(verdict: V) -> Self {
        Self::Now(verdict)
    }
}

impl<V: AnyVerdict, E: fmt::Display> From<Result<V, E>> for Reply<V> {
    fn from(result: Result<V, E>) -> Self {
        match result {
            Ok(verdict) => Self::Now(verdict),
            Err(error) => Self::Failed(error.to_string()),
        }
    }
}

/// Lets a callback leave its verdict pending. It is valid for as long as the callback runs.
pub struct Later<'a, V> {
    host: Host,
    answer: *mut abi::introd_answer,
    callback: PhantomData<&'a ()>,
    kind: PhantomData<fn(V)>,
}

/// The verdict cannot be left pending, because too many are pending already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyPending;

impl fmt::Display for TooManyPending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many verdicts are pending")
    }
}

impl std::error::Error for TooManyPending {}

impl<V: AnyVerdict> Later<'_, V> {
    pub(crate) fn new(host: Host, answer: *mut abi::introd_answer) -> Self {
        Self { host, answer, callback: PhantomData, kind: PhantomData }
    }

    /// Leaves the verdict pending. The callback returns the reply; the completion may go to any thread, which gives the verdict by it.
    ///
    /// # Errors
    /// If too many verdicts are pending already.
    pub fn defer(self) -> Result<(Completion<V>, Reply<V>), TooManyPending> {
        let token = self.host.defer(self.answer).ok_or(TooManyPending)?;
        Ok((Completion { host: self.host, token, kind: PhantomData }, Reply::Later(Pending(()))))
    }
}

/// A verdict that a plugin still has to give. It is given once: by [`Self::complete`] or [`Self::fail`], which consume the completion.
/// To drop the completion is to fail.
#[derive(Debug)]
pub struct Completion<V: AnyVerdict> {
    host: Host,
    token: u64,
    kind: PhantomData<fn(V)>,
}

/// The verdict came too late: its deadline has passed, or the asker is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

impl fmt::Display for TooLate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the verdict came too late")
    }
}

impl std::error::Error for TooLate {}

impl<V: AnyVerdict> Completion<V> {
    /// Identifies the pending verdict. [`Plugin::cancel`](crate::Plugin::cancel) receives it when the verdict is no longer needed.
    pub fn token(&self) -> Token {
        Token(self.token)
    }

    /// Gives the verdict.
    ///
    /// # Errors
    /// If it comes too late. That does no harm.
    pub fn complete(self, verdict: V) -> Result<(), TooLate> {
        let (host, token) = (self.host, self.token);
        std::mem::forget(self);
        let status = verdict.for_host(host.abi_minor()).with_raw(|raw| host.complete(token, raw));
        if status == abi::INTROD_E_ARGUMENT {
            // For instance a redirect without addresses. The host keeps the token then, but nothing else would ever use it.
            return fail(host, token, "the verdict is invalid");
        }
        if status == abi::INTROD_OK { Ok(()) } else { Err(TooLate) }
    }

    /// Tells the host that there will be no verdict, for this reason. `Policy/OnFailure` of the configuration decides instead.
    ///
    /// # Errors
    /// If it comes too late. That does no harm.
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

impl<V: AnyVerdict> Drop for Completion<V> {
    fn drop(&mut self) {
        let _ = fail(self.host, self.token, "the plugin dropped the completion without giving a verdict");
    }
}
