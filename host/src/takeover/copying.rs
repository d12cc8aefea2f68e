//! The side of the process that serves: it copies its sessions to its successor, and goes on serving.

use std::ops::Range;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use introd_liveness::Pulse;

use super::channel::{Channel, ChannelError};
use super::ending::Ending;
use super::message::Message;
use super::state::ServerState;
use super::worker_mail::{Patience, answer, tell};
use crate::serve::{Copied, Copies, CopyOrder, HandedOver, Mail, MailSender};

/// How many places for sessions a worker looks at in one go: it serves between two of them.
const SLICE: usize = 256;
/// How often all sessions are looked at, at most. Busy ones change all the time.
const ROUNDS: usize = 3;
/// It is enough if so many times as many sessions have not changed as have.
const ENOUGH: usize = 50;
/// How long a worker may take for a slice, and the new process for what it is sent.
const ANSWER: Duration = Duration::from_secs(10);

/// Copies the sessions of all workers to the new process. Gives what was copied of each worker.
///
/// # Errors
/// If a worker or the new process does not answer, or this process is told to stop.
pub(super) fn copy(
    channel: &mut Channel,
    mailboxes: &[MailSender],
    ending: &Ending,
    pulse: &Pulse,
) -> Result<Vec<Copies>, ChannelError> {
    let began = Instant::now();
    let mut copies: Vec<Copies> = mailboxes.iter().map(|_| Copies::new(began)).collect();
    for round in 1..=ROUNDS {
        let (mut sessions, mut places) = (0, 0);
        for ((index, mailbox), copies) in (0..).zip(mailboxes).zip(&mut copies) {
            let mut at = 0;
            loop {
                let patience = Patience { until: Instant::now() + ANSWER, ending, pulse };
                let (part, all) = copy_slice(mailbox, copies, index, at..at + SLICE, patience)?;
                sessions += part.state.session_count();
                if part.state.session_count() > 0 {
                    let state = ServerState {
                        workers: vec![part],
                        instances: Vec::new(),
                        open_calls: Vec::new(),
                        rivals: Vec::new(),
                        relay: None,
                    };
                    let bytes = state.to_bytes().map_err(|error| ChannelError::Unreadable(error.to_string()))?;
                    channel.send_bytes(|length| Message::Copies { length }, &bytes, ANSWER)?;
                }
                at += SLICE;
                if at >= all {
                    places += all;
                    break;
                }
            }
        }
        channel.send(&Message::Copied, ANSWER)?;
        match channel.receive(Some(ANSWER))? {
            Message::Copied => (),
            other => return Err(ChannelError::Unreadable(format!("{other:?} instead of Copied"))),
        }
        tracing::info!(round, sessions, took = ?began.elapsed(), "sessions were copied for the new process");
        if sessions * ENOUGH <= places {
            break;
        }
    }
    Ok(copies)
}

/// Copies the sessions in these places that are not as they were copied. Gives the number of all places as well.
fn copy_slice(
    mailbox: &MailSender,
    copies: &mut Copies,
    index: u8,
    places: Range<usize>,
    patience: Patience<'_>,
) -> Result<(HandedOver, usize), ChannelError> {
    let then = copies.then();
    let (copied, answers) = mpsc::channel();
    let order = CopyOrder { copies: std::mem::replace(copies, Copies::new(then)), places, copied };
    tell(mailbox, Mail::Copy(Box::new(order)), patience)?;
    let Copied { copies: known, state, places } = answer(&answers, patience)?;
    *copies = known;
    Ok((HandedOver::new(index, then, state), places))
}
