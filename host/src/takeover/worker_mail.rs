//! Orders to workers from the thread that waits for a successor.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use introd_liveness::{BEAT, Pulse};
use tokio::sync::mpsc::error::TrySendError;

use super::channel::ChannelError;
use crate::serve::{Mail, MailSender};

/// How long to wait for room in a worker's mailbox before it is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// Puts an order into a worker's mailbox. If there is no room, it waits for that.
///
/// # Errors
/// If there is no room until then, or the worker has ended.
pub(super) fn tell(mailbox: &MailSender, mut order: Mail, until: Instant, pulse: &Pulse) -> Result<(), ChannelError> {
    loop {
        match mailbox.try_send(order) {
            Ok(()) => return Ok(()),
            Err(TrySendError::Full(_)) if Instant::now() >= until => return Err(ChannelError::Busy),
            Err(TrySendError::Closed(_)) => return Err(ChannelError::NoWorker),
            Err(TrySendError::Full(back)) => order = back,
        }
        pulse.beat();
        std::thread::sleep(PAUSE);
    }
}

/// Waits for a worker's answer.
///
/// # Errors
/// If there is none until then, or the worker has ended.
pub(super) fn answer<T>(answers: &Receiver<T>, until: Instant, pulse: &Pulse) -> Result<T, ChannelError> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match answers.recv_timeout(left.min(BEAT)) {
            Ok(answer) => return Ok(answer),
            Err(RecvTimeoutError::Timeout) if left.is_zero() => return Err(ChannelError::Busy),
            Err(RecvTimeoutError::Timeout) => pulse.beat(),
            Err(RecvTimeoutError::Disconnected) => return Err(ChannelError::NoWorker),
        }
    }
}
