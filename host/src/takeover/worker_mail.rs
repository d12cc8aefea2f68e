//! Orders to workers from the thread that waits for a successor.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use introd_liveness::Pulse;
use tokio::sync::mpsc::error::TrySendError;

use super::channel::ChannelError;
use super::ending::Ending;
use crate::serve::{Mail, MailSender};

/// How long to wait for a worker before it is seen whether this process is told to stop.
const PAUSE: Duration = Duration::from_millis(5);

/// How long a worker is waited for.
#[derive(Clone, Copy)]
pub(super) struct Patience<'a> {
    pub(super) until: Instant,
    /// Unless this is set before.
    pub(super) ending: &'a Ending,
    /// That of the thread that waits.
    pub(super) pulse: &'a Pulse,
}

impl Patience<'_> {
    /// # Errors
    /// If it is over.
    fn goes_on(&self) -> Result<(), ChannelError> {
        self.pulse.beat();
        if self.ending.is_set() {
            return Err(ChannelError::Stops);
        }
        if Instant::now() >= self.until { Err(ChannelError::Busy) } else { Ok(()) }
    }
}

/// Puts an order into a worker's mailbox. If there is no room, it waits for that.
///
/// # Errors
/// If there is no room until then, the worker has ended, or this process is told to stop.
pub(super) fn tell(mailbox: &MailSender, mut order: Mail, patience: Patience<'_>) -> Result<(), ChannelError> {
    loop {
        match mailbox.try_send(order) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Closed(_)) => return Err(ChannelError::NoWorker),
            Err(TrySendError::Full(back)) => order = back,
        }
        patience.goes_on()?;
        std::thread::sleep(PAUSE);
    }
}

/// Waits for a worker's answer.
///
/// # Errors
/// If there is none until then, the worker has ended, or this process is told to stop.
pub(super) fn answer<T>(answers: &Receiver<T>, patience: Patience<'_>) -> Result<T, ChannelError> {
    loop {
        match answers.recv_timeout(PAUSE) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) => patience.goes_on()?,
            Err(RecvTimeoutError::Disconnected) => return Err(ChannelError::NoWorker),
        }
    }
}
