//! The side of the process that serves: it waits for a successor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rtmfp::crypto::CookieJar;
use tokio::sync::oneshot;

use super::channel::{Channel, ChannelError};
use super::message::{GREETING, ListenerRecord, Message, OfferRecord};
use super::monotonic;
use super::state::{STATE_VERSION, ServerState};
use crate::apps::Applications;
use crate::network::Listener;
use crate::serve::{Fate, HandOver, Mail, MailSender};

/// How long the workers stand still at most: after that they go on, whatever the new process does.
pub(super) const STANDSTILL: Duration = Duration::from_secs(10);
/// How long a new process may take until it is ready: it loads plugins and makes keys.
const START: Duration = Duration::from_secs(120);
/// How long it may take for an answer otherwise.
const ANSWER: Duration = Duration::from_secs(10);
/// How long to wait for room in a worker's mailbox before it is tried again.
const PAUSE: Duration = Duration::from_millis(5);

/// What a server leaves to its successor, besides its sessions.
pub struct Estate {
    /// For each worker its sockets, which the worker itself uses as well.
    pub sockets: Vec<Vec<(Listener, OwnedFd)>>,
    /// The certificates of its identities.
    pub certificates: Vec<Vec<u8>>,
    /// What recognises its cookies.
    pub cookies: CookieJar,
    /// The mailboxes of its workers.
    pub mailboxes: Arc<[MailSender]>,
    /// Its applications.
    pub applications: Arc<Applications>,
}

/// Waits for successors at a Unix socket, on a thread of its own. Dropping it removes the socket.
pub struct Successors {
    path: PathBuf,
    /// Tells the socket from another one at the same path, which a successor has put there.
    inode: u64,
    is_ending: Arc<AtomicBool>,
    replaced: Option<oneshot::Receiver<()>>,
    /// Another process has taken over: the path is its own.
    is_replaced: bool,
}

impl Successors {
    /// Begins to wait. A socket that a process has left there is replaced.
    ///
    /// # Errors
    /// If the socket cannot be made, or the thread not be started.
    pub fn wait_at(path: &Path, estate: Estate) -> anyhow::Result<Self> {
        let (listener, inode) = bind(path).with_context(|| {
            format!(
                "cannot make the Unix socket {} for --takeover: give it a path in a folder that exists and is your own",
                path.display()
            )
        })?;
        let is_ending = Arc::new(AtomicBool::new(false));
        let (tell, replaced) = oneshot::channel();
        let ends = Arc::clone(&is_ending);
        // It waits for other processes, and nothing waits for it.
        let work = move || wait(&listener, &estate, &ends, tell);
        std::thread::Builder::new().name("takeover".to_owned()).spawn(work).context("no thread can be started")?;
        tracing::info!(path = %path.display(), "another process may take over here");
        Ok(Self { path: path.to_owned(), inode, is_ending, replaced: Some(replaced), is_replaced: false })
    }

    /// Waits until another process has taken over: then this one ends, and tells nobody.
    pub async fn replaced(&mut self) {
        let is_replaced = match &mut self.replaced {
            Some(replaced) => replaced.await.is_ok(),
            None => false,
        };
        self.replaced = None;
        self.is_replaced = is_replaced;
        if !is_replaced {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Successors {
    fn drop(&mut self) {
        if self.is_replaced {
            return;
        }
        self.is_ending.store(true, Ordering::Release);
        // Wakes the thread.
        let _ = UnixStream::connect(&self.path);
        if std::fs::symlink_metadata(&self.path).is_ok_and(|known| known.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Makes the socket, for the user of this process alone. It takes the place of an older one at once, so that there always is one.
fn bind(path: &Path) -> io::Result<(UnixListener, u64)> {
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(name);
    let _ = std::fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
    let inode = std::fs::symlink_metadata(&new)?.ino();
    std::fs::rename(&new, path)?;
    Ok((listener, inode))
}

fn wait(listener: &UnixListener, estate: &Estate, is_ending: &AtomicBool, tell: oneshot::Sender<()>) {
    loop {
        let stream = match listener.accept() {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "a process that wants to take over cannot be heard");
                std::thread::sleep(PAUSE * 20);
                continue;
            }
        };
        if is_ending.load(Ordering::Acquire) {
            return;
        }
        match serve(stream, estate) {
            Ok(true) => {
                let _ = tell.send(());
                return;
            }
            Ok(false) => (),
            Err(error) => tracing::error!(%error, "the takeover has failed: this process goes on serving"),
        }
    }
}

/// Speaks with a process that has connected. True: it has taken over.
fn serve(stream: UnixStream, estate: &Estate) -> Result<bool, ChannelError> {
    let mut channel = Channel::new(stream)?;
    let program = match channel.receive(Some(ANSWER)) {
        Ok(Message::Hello { greeting, version, program }) if greeting == GREETING => {
            if version != STATE_VERSION {
                let own = env!("CARGO_PKG_VERSION");
                let why = format!(
                    "introd {own} writes version {STATE_VERSION} of the state of its sessions, and introd {program} reads version {version}: \
                     restart the server without a takeover"
                );
                tracing::error!("no takeover: {why}");
                channel.send(&Message::Refused(why), ANSWER)?;
                return Ok(false);
            }
            program
        }
        // It looked whether anybody listens.
        Err(ChannelError::Closed) => return Ok(false),
        Ok(_) => return Err(ChannelError::Unreadable("no greeting".to_owned())),
        Err(error) => return Err(error),
    };
    tracing::info!(%program, "a new process prepares to take over");
    offer(&mut channel, estate)?;
    match channel.receive(Some(START))? {
        Message::Ready => (),
        other => return Err(ChannelError::Unreadable(format!("{other:?} instead of Ready"))),
    }
    let began = Instant::now();
    let standstill = Standstill::begin(estate, began)?;
    let bytes = standstill.collect(&estate.applications).map_err(ChannelError::Unreadable);
    let bytes = bytes.inspect_err(|error| drop(channel.send(&Message::Refused(error.to_string()), ANSWER)))?;
    channel.send_state(&bytes, standstill.left())?;
    let sessions = match channel.receive(Some(standstill.left()))? {
        Message::Imported { sessions } => sessions,
        other => return Err(ChannelError::Unreadable(format!("{other:?} instead of Imported"))),
    };
    if standstill.left().is_zero() {
        return Err(ChannelError::Late);
    }
    channel.send(&Message::Yours, ANSWER)?;
    // Now the new process serves, or ends: its end of the socket tells which. There is no time limit, since two must never serve.
    match channel.receive(None) {
        Ok(Message::Serving) => (),
        Ok(other) => return Err(ChannelError::Unreadable(format!("{other:?} instead of Serving"))),
        Err(error) => return Err(error),
    }
    tracing::info!(sessions, took = ?began.elapsed(), "another process has taken over");
    standstill.end();
    Ok(true)
}

fn offer(channel: &mut Channel, estate: &Estate) -> Result<(), ChannelError> {
    let now = Instant::now();
    let record = |(listener, _): &(Listener, OwnedFd)| ListenerRecord {
        adaptor: u32::try_from(listener.adaptor).unwrap_or(u32::MAX),
        local: listener.local,
        public: listener.public,
    };
    let offer = OfferRecord {
        program: env!("CARGO_PKG_VERSION").to_owned(),
        process: std::process::id(),
        listeners: estate.sockets.iter().map(|of_worker| of_worker.iter().map(record).collect()).collect(),
        certificates: estate.certificates.clone(),
        cookies: estate.cookies.hand_over(now),
        at: monotonic::write(now),
    };
    channel.send(&Message::Offer(offer), ANSWER)?;
    let sockets: Vec<_> = estate.sockets.iter().flatten().map(|(_, socket)| socket.as_fd()).collect();
    channel.send_descriptors(&sockets, ANSWER)
}

/// The workers, while they stand still. When this is dropped, they go on.
struct Standstill {
    until: Instant,
    states: mpsc::Receiver<(u8, Instant, crate::serve::WorkerState)>,
    fates: Vec<oneshot::Sender<Fate>>,
}

impl Standstill {
    fn begin(estate: &Estate, now: Instant) -> Result<Self, ChannelError> {
        let (state, states) = mpsc::channel();
        let mut standstill = Self { until: now + STANDSTILL, states, fates: Vec::new() };
        for mailbox in &*estate.mailboxes {
            let (order, fate) = HandOver::new(state.clone());
            let mut mail = Mail::HandOver(order);
            while let Err(tokio::sync::mpsc::error::TrySendError::Full(back)) = mailbox.try_send(mail) {
                if standstill.left().is_zero() {
                    return Err(ChannelError::Unreadable("a worker has no time to stand still".to_owned()));
                }
                std::thread::sleep(PAUSE);
                mail = back;
            }
            standstill.fates.push(fate);
        }
        Ok(standstill)
    }

    /// How long they may go on standing still.
    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// The state of all of them.
    fn collect(&self, applications: &Applications) -> Result<Vec<u8>, String> {
        let mut workers = Vec::with_capacity(self.fates.len());
        while workers.len() < self.fates.len() {
            let worker = self.states.recv_timeout(self.left());
            workers.push(worker.map_err(|_| "a worker does not stand still".to_owned())?);
        }
        workers.sort_by_key(|(index, ..)| *index);
        let state = ServerState { workers, instances: applications.hand_over() };
        state.to_bytes().map_err(|error| error.to_string())
    }

    /// They end, and tell nobody.
    fn end(self) {
        for fate in self.fates {
            let _ = fate.send(Fate::End);
        }
    }
}
