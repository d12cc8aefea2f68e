//! Stands between the two processes of a takeover, passes on what they say, and holds one message back: what a test does meanwhile happens at
//! that moment.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::Shutdown;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use introd_tests::waiting::DEADLINE;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

/// A message by the byte that it begins with (`host/src/takeover/message.rs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Message {
    Offer = 1,
    /// The new process has started, and takes no sessions yet.
    Ready = 3,
    /// The workers of the old process stand still.
    State = 4,
    /// The new process could go on.
    Imported = 5,
    /// It is to go on.
    Yours = 6,
    /// The new process serves.
    Serving = 7,
    /// The old process copies sessions, and serves them.
    Copies = 8,
}

impl Message {
    /// Whether bytes follow as many as it says.
    fn announces(kind: u8) -> bool {
        [Self::State, Self::Copies].iter().any(|message| *message as u8 == kind)
    }
}

/// Most descriptors that the test's servers share.
const DESCRIPTORS: usize = 16;

/// What stands between two processes.
pub(crate) struct Between {
    held: Receiver<()>,
    /// Dropped to let the message go on.
    release: Sender<()>,
}

impl Between {
    /// Waits at a path of its own for a new process, and connects it with the one that listens at `server`. It holds the first message of that
    /// kind back until it is dropped.
    pub(crate) fn start(path: &Path, server: &Path, holds: Message) -> Self {
        let listener = UnixListener::bind(path).expect("a free path");
        let (server, (held, is_held), (release, released)) = (server.to_owned(), channel(), channel());
        std::thread::spawn(move || {
            let (newcomer, _) = listener.accept().expect("a new process");
            let server = UnixStream::connect(server).expect("a server that can be taken over");
            let back = [&server, &newcomer].map(|stream| stream.try_clone().expect("a descriptor"));
            let from_server = matches!(holds, Message::Offer | Message::State | Message::Yours | Message::Copies);
            let mut hold = Some(Hold { kind: holds as u8, held, released });
            let of_server = hold.take_if(|_| from_server);
            std::thread::spawn(move || pass_on(back, of_server));
            pass_on([newcomer, server], hold);
        });
        Self { held: is_held, release }
    }

    /// Waits until the message is held back.
    pub(crate) fn wait(&self) {
        self.held.recv_timeout(DEADLINE).expect("it comes to that message");
    }

    /// Lets the message go on, and waits until the other process can read it.
    pub(crate) fn pass(self) {
        drop(self.release);
        // The other end goes when the message has been passed on.
        assert_eq!(self.held.recv_timeout(DEADLINE), Err(RecvTimeoutError::Disconnected));
    }
}

struct Hold {
    kind: u8,
    held: Sender<()>,
    released: Receiver<()>,
}

/// Passes on what one process says to the other until one of them has ended. The other hears of that.
fn pass_on([mut from, mut to]: [UnixStream; 2], mut hold: Option<Hold>) {
    while pass_message(&mut from, &mut to, &mut hold).is_ok() {}
    for stream in [from, to] {
        let _ = stream.shutdown(Shutdown::Both);
    }
}

fn pass_message(from: &mut UnixStream, to: &mut UnixStream, hold: &mut Option<Hold>) -> io::Result<()> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    let mut message = vec![0; usize::try_from(u64::from_be_bytes(length)).expect("a length")];
    from.read_exact(&mut message)?;
    let kind = *message.first().expect("a message says what it is");
    // What is taken here goes when the message has been passed on, which the test may wait for.
    let hold = hold.take_if(|hold| hold.kind == kind);
    if let Some(Hold { held, released, .. }) = &hold {
        let _ = held.send(());
        // The test drops the other end.
        let _ = released.recv();
    }
    to.write_all(&length)?;
    to.write_all(&message)?;
    if kind == Message::Offer as u8 {
        pass_descriptors(from, to)?;
    } else if Message::announces(kind) {
        let bytes = number(message.get(1..).unwrap_or_default());
        io::copy(&mut from.take(bytes), to)?;
    }
    Ok(())
}

/// A number as postcard writes it: seven bits in each byte, the lowest first.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().zip((0..).step_by(7)).map(|(byte, shift)| u64::from(byte & 0x7f) << shift).sum()
}

fn pass_descriptors(from: &UnixStream, to: &UnixStream) -> io::Result<()> {
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let passed = ancillary.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(passed) => Some(passed),
        _ => None,
    });
    let passed: Vec<OwnedFd> = passed.flatten().collect();
    let passed: Vec<_> = passed.iter().map(OwnedFd::as_fd).collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    assert!(ancillary.push(SendAncillaryMessage::ScmRights(&passed)), "{} descriptors", passed.len());
    sendmsg(to, &[IoSlice::new(&byte)], &mut ancillary, SendFlags::empty())?;
    Ok(())
}
