//! The Unix socket between the two processes: messages with their length, and descriptors.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use introd_liveness::{BEAT, Pulse};
use rustix::io::Errno;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use super::message::Message;

/// The longest message: the state of some millions of sessions.
const MAX_MESSAGE: u64 = 4 << 30;
/// How many descriptors go with one byte: the kernel takes 253 at most.
const DESCRIPTORS: usize = 128;

/// How long the rest of a message may take when it has begun.
const WHOLE: Duration = Duration::from_secs(10);
/// The system takes no time limit of 0.
const LEAST: Duration = Duration::from_millis(1);

/// One end of the socket.
pub(super) struct Channel {
    stream: UnixStream,
    /// The number of the other process.
    process: u32,
    /// That of the thread that waits here.
    pulse: Pulse,
}

/// Why the other process does not say what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum ChannelError {
    /// It has ended, or given the takeover up.
    #[error("the other process has ended, or has given the takeover up")]
    Closed,
    /// It has said nothing for too long.
    #[error("the other process does not answer")]
    Late,
    /// It is another user's.
    #[error("the other process runs as user {found}, and this one as user {own}: run both as the same user")]
    User {
        /// Its user.
        found: u32,
        /// The user of this process.
        own: u32,
    },
    /// What it says is no message.
    #[error("the other process does not speak as introd does: {0}")]
    Unreadable(String),
    /// This process is told to stop.
    #[error("this process is told to stop")]
    Stops,
    /// A worker has had no time to answer.
    #[error("a worker of this server is too busy")]
    Busy,
    /// A worker has ended.
    #[error("a worker of this server has ended")]
    NoWorker,
    /// The system's error.
    #[error("the Unix socket failed: {0}")]
    System(io::Error),
}

impl From<io::Error> for ChannelError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Self::Late,
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset => Self::Closed,
            _ => Self::System(error),
        }
    }
}

impl Channel {
    /// `pulse`: that of the thread that uses it.
    ///
    /// # Errors
    /// If the other end is another user's process.
    pub(super) fn new(stream: UnixStream, pulse: Pulse) -> Result<Self, ChannelError> {
        let peer = rustix::net::sockopt::socket_peercred(&stream).map_err(io::Error::from)?;
        let (found, process) = (peer.uid.as_raw(), peer.pid.as_raw_nonzero().get().unsigned_abs());
        let own = rustix::process::geteuid().as_raw();
        // Root may take over what it has started as another user.
        if found == own || found == 0 {
            Ok(Self { stream, process, pulse })
        } else {
            Err(ChannelError::User { found, own })
        }
    }

    /// The number of the other process.
    pub(super) fn process(&self) -> u32 {
        self.process
    }

    pub(super) fn send(&mut self, message: &Message, within: Duration) -> Result<(), ChannelError> {
        let bytes = postcard::to_stdvec(message).map_err(|error| ChannelError::Unreadable(error.to_string()))?;
        self.stream.set_write_timeout(Some(within.max(LEAST)))?;
        self.stream.write_all(&(bytes.len() as u64).to_be_bytes())?;
        Ok(self.stream.write_all(&bytes)?)
    }

    /// Sends bytes after the message that announces them by their length.
    pub(super) fn send_bytes(
        &mut self,
        announce: impl FnOnce(u64) -> Message,
        bytes: &[u8],
        within: Duration,
    ) -> Result<(), ChannelError> {
        self.send(&announce(bytes.len() as u64), within)?;
        Ok(self.stream.write_all(bytes)?)
    }

    /// Receives the bytes that a message has announced.
    pub(super) fn receive_bytes(&mut self, length: u64, within: Duration) -> Result<Vec<u8>, ChannelError> {
        self.stream.set_read_timeout(Some(within.max(LEAST)))?;
        self.read(length)
    }

    fn read(&mut self, length: u64) -> Result<Vec<u8>, ChannelError> {
        if length > MAX_MESSAGE {
            return Err(ChannelError::Unreadable(format!("a message of {length} bytes")));
        }
        // Room grows with what comes, not with what is announced.
        let mut bytes = Vec::new();
        let came = (&mut self.stream).take(length).read_to_end(&mut bytes)?;
        if (came as u64) < length { Err(ChannelError::Closed) } else { Ok(bytes) }
    }

    /// The next message. `within`: how long the other process may say nothing; `None`: until it ends.
    pub(super) fn receive(&mut self, within: Option<Duration>) -> Result<Message, ChannelError> {
        let began = Instant::now();
        let left = || within.map_or(BEAT, |within| within.saturating_sub(began.elapsed()));
        while !self.has_come(left().min(BEAT))? {
            self.pulse.beat();
            if left().is_zero() {
                return Err(ChannelError::Late);
            }
        }
        self.stream.set_read_timeout(Some(within.unwrap_or(WHOLE).max(LEAST)))?;
        let mut length = [0; 8];
        self.stream.read_exact(&mut length)?;
        let bytes = self.read(u64::from_be_bytes(length))?;
        postcard::from_bytes(&bytes).map_err(|error| ChannelError::Unreadable(error.to_string()))
    }

    /// Waits until something has come, or the other end is closed. False if neither happens in that time.
    fn has_come(&self, within: Duration) -> Result<bool, ChannelError> {
        self.stream.set_read_timeout(Some(within.max(LEAST)))?;
        match rustix::net::recv(&self.stream, &mut [0_u8; 1], RecvFlags::PEEK) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN | Errno::INTR) => Ok(false),
            Err(error) => Err(io::Error::from(error).into()),
        }
    }

    pub(super) fn send_descriptors(&mut self, all: &[BorrowedFd<'_>], within: Duration) -> Result<(), ChannelError> {
        self.stream.set_write_timeout(Some(within))?;
        for some in all.chunks(DESCRIPTORS) {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if !ancillary.push(SendAncillaryMessage::ScmRights(some)) {
                return Err(ChannelError::Unreadable("too many descriptors".to_owned()));
            }
            sendmsg(self.stream.as_fd(), &[IoSlice::new(&[0])], &mut ancillary, SendFlags::empty())
                .map_err(io::Error::from)?;
        }
        Ok(())
    }

    pub(super) fn receive_descriptors(&mut self, count: usize, within: Duration) -> Result<Vec<OwnedFd>, ChannelError> {
        self.stream.set_read_timeout(Some(within))?;
        let mut all = Vec::with_capacity(count.min(DESCRIPTORS));
        while all.len() < count {
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS))];
            let mut ancillary = RecvAncillaryBuffer::new(&mut space);
            let mut byte = [0];
            let (buffers, flags) = (&mut [IoSliceMut::new(&mut byte)], RecvFlags::CMSG_CLOEXEC);
            let came = recvmsg(self.stream.as_fd(), buffers, &mut ancillary, flags).map_err(io::Error::from)?;
            let before = all.len();
            for message in ancillary.drain() {
                if let RecvAncillaryMessage::ScmRights(some) = message {
                    all.extend(some);
                }
            }
            if came.bytes == 0 {
                return Err(ChannelError::Closed);
            }
            if all.len() == before {
                return Err(ChannelError::Unreadable(
                    "sockets were not passed: is the limit of open files reached?".into(),
                ));
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::takeover::message::GREETING;

    const SOON: Duration = Duration::from_secs(30);

    fn pair() -> (Channel, Channel) {
        let (one, other) = UnixStream::pair().unwrap();
        let [one, other] = [one, other].map(|stream| Channel::new(stream, Pulse::unwatched()).unwrap());
        (one, other)
    }

    #[test]
    fn messages_and_descriptors_come_as_they_were_sent() {
        let (mut near, mut far) = pair();
        let sender = std::thread::spawn(move || {
            let hello = Message::Hello { greeting: GREETING.to_owned(), version: 7, program: "x".to_owned() };
            near.send(&hello, SOON).unwrap();
            near.send_bytes(|length| Message::State { length }, &vec![5; 1 << 20], SOON).unwrap();
            let sockets: Vec<_> = (0..300).map(|_| UnixStream::pair().unwrap().0).collect();
            let all: Vec<_> = sockets.iter().map(AsFd::as_fd).collect();
            near.send_descriptors(&all, SOON).unwrap();
            near.send(&Message::Ready, SOON).unwrap();
        });
        assert!(matches!(far.receive(Some(SOON)).unwrap(), Message::Hello { version: 7, .. }));
        let Message::State { length } = far.receive(Some(SOON)).unwrap() else { panic!("another message") };
        assert_eq!(far.receive_bytes(length, SOON).unwrap(), vec![5; 1 << 20]);
        assert_eq!(far.receive_descriptors(300, SOON).unwrap().len(), 300);
        assert!(matches!(far.receive(Some(SOON)).unwrap(), Message::Ready));
        sender.join().unwrap();
        assert!(matches!(far.receive(Some(SOON)), Err(ChannelError::Closed)));
    }

    #[test]
    fn silence_and_nonsense_are_errors() {
        let (mut near, mut far) = pair();
        assert!(matches!(far.receive(Some(Duration::from_millis(10))), Err(ChannelError::Late)));
        near.stream.write_all(&4_u64.to_be_bytes()).unwrap();
        near.stream.write_all(&[0xff; 4]).unwrap();
        assert!(matches!(far.receive(Some(SOON)), Err(ChannelError::Unreadable(_))));
        near.stream.write_all(&u64::MAX.to_be_bytes()).unwrap();
        assert!(matches!(far.receive(Some(SOON)), Err(ChannelError::Unreadable(_))));
    }
}
