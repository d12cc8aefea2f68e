//! Several servers that share a registry in a real Redis, and what happens when one of them or Redis fails.

mod groups;
mod killed;
mod login;
mod outages;
mod storm;
mod taken_over;

use std::collections::{HashMap, HashSet};
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::time::Duration;

use introd_tests::folder::Folder;
use introd_tests::libraries::library;
use introd_tests::program::{Process, Server, introd};
use introd_tests::redis::Redis;
use introd_tests::waiting::eventually;
use rtmfp::{Origin, PeerId};

use introd_tests::startup_packets::{lookup, redirect};

/// A server of the registry at `url`; its configuration is left in the folder.
fn server(folder: &Folder, url: &str, name: &str) -> Server {
    let dir = configured(folder, url, name, "");
    Server::configured(&dir, 2)
}

/// The configuration folder of a server; `more` stands in its `<PeerRegistry>`.
pub(crate) fn configured(folder: &Folder, url: &str, name: &str, more: &str) -> PathBuf {
    let dir = folder.join(name);
    std::fs::create_dir_all(&dir).unwrap();
    let text = format!(
        "<Root><Server><PeerRegistry><Plugin path=\"{}\"><Config><url>{url}</url><server>{name}</server>\
         <heartbeat>{}</heartbeat></Config></Plugin>{more}</PeerRegistry></Server></Root>",
        library("registry-redis").display(),
        HEARTBEAT.as_millis(),
    );
    std::fs::write(dir.join("Server.xml"), text).unwrap();
    dir
}

const HEARTBEAT: Duration = Duration::from_millis(1000);

/// Many idle clients of a server, in a process of their own. They are gone when it is dropped.
fn clients(server: SocketAddr, count: u32) -> Process {
    let (server, count) = (server.to_string(), count.to_string());
    Process::start(&mut introd(&["bench", "sessions", "--server", &server, "--count", &count, "--idle", "600"]))
}

/// Asks a server for peers.
struct Asker {
    socket: UdpSocket,
    server: SocketAddr,
}

impl Asker {
    fn new(server: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        Self { socket, server }
    }

    /// Those of the peers that the asker is sent to `relay` for. No answer within `gap` is taken for none.
    fn sent_to(&self, relay: SocketAddr, peers: &[PeerId], gap: Duration) -> HashSet<PeerId> {
        let mut found = HashSet::new();
        self.socket.set_read_timeout(Some(gap)).unwrap();
        for peers in peers.chunks(50) {
            let mut open: HashMap<Vec<u8>, PeerId> = HashMap::new();
            for peer in peers {
                let tag: [u8; 16] = peer.0[..16].try_into().unwrap();
                self.socket.send_to(&lookup(*peer, tag), self.server).unwrap();
                open.insert(tag.to_vec(), *peer);
            }
            let mut bytes = [0; 2048];
            while !open.is_empty()
                && let Ok((len, _)) = self.socket.recv_from(&mut bytes)
            {
                let Some((tag, addresses)) = redirect(&mut bytes[..len]) else { continue };
                let Some(peer) = open.remove(&tag) else { continue };
                if addresses.iter().any(|tagged| tagged.origin == Origin::Relay && tagged.address == relay) {
                    found.insert(peer);
                }
            }
        }
        found
    }

    /// Waits until the server has read all that was sent before, by a lookup that it answers at once: of a peer that is connected to it.
    fn is_read(&self, connected: PeerId) {
        let mut tag = [0x5a_u8; 16];
        let mut bytes = [0; 2048];
        self.socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        eventually("what was sent is read", || {
            tag[0] = tag[0].wrapping_add(1);
            self.socket.send_to(&lookup(connected, tag), self.server).unwrap();
            while let Ok((len, _)) = self.socket.recv_from(&mut bytes) {
                if redirect(&mut bytes[..len]).is_some_and(|(echoed, _)| echoed == tag) {
                    return true;
                }
            }
            false
        });
    }

    /// Waits until the asker is sent to `relay` for all of them.
    fn finds_all(&self, relay: SocketAddr, peers: &[PeerId]) {
        let mut missing = peers.to_vec();
        eventually("all are found", || {
            let found = self.sent_to(relay, &missing, Duration::from_millis(300));
            missing.retain(|peer| !found.contains(peer));
            missing.is_empty()
        });
    }
}

/// The peers that have an entry.
fn published(redis: &Redis) -> Vec<PeerId> {
    let keys = redis.command(&["KEYS", "introd:peer:*"]);
    keys.lines().filter_map(|key| key.strip_prefix("introd:peer:")?.parse().ok()).collect()
}
