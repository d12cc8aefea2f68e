//! The stage: three servers that share a registry in a Redis, all of them programs of their own, and the faults that happen to them.

mod faults;
mod files;
mod http;
mod log;
mod metrics;
mod newcomer;
mod process;
mod programs;
mod redis;
mod server;

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use introd_tests::redis::free_port;

use crate::calm::SERVERS;
use crate::plan::server_name;
use files::Files;
use programs::Programs;
use redis::Redis;

pub(crate) use faults::explains;
pub(crate) use files::APPLICATIONS;
pub(crate) use http::{get, get_json};
pub(crate) use log::{Said, Told};
pub(crate) use metrics::Metrics;
pub(crate) use server::Server;

/// The servers and their Redis.
pub(crate) struct Stage {
    // The servers end before their Redis.
    pub(crate) servers: Vec<Server>,
    redis: Redis,
    programs: Arc<Programs>,
}

impl Stage {
    /// Starts all of them, with their files in a folder. What the servers' logs say comes by the channel.
    pub(crate) fn start(folder: &Path) -> anyhow::Result<(Self, Receiver<Told>)> {
        let programs = Arc::new(Programs::copy(&folder.join("programs"))?);
        let redis = Redis::start(folder.join("redis"))?;
        let logs = folder.join("logs");
        std::fs::create_dir_all(&logs)?;
        let (tell, told) = channel();
        let mut servers = Vec::new();
        for number in 0..SERVERS {
            let name = server_name(number);
            let files = Files::write(folder.join(name), name, &redis.url(), &programs.registry)?;
            let admin = SocketAddr::from(([127, 0, 0, 1], free_port()));
            let addresses = (free_udp_address()?, admin);
            let mut server = Server::new(number, files, logs.clone(), addresses, Arc::clone(&programs), tell.clone());
            server.start()?;
            servers.push(server);
        }
        Ok((Self { servers, redis, programs }, told))
    }

    /// Where the servers listen for clients.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.servers.iter().map(|server| server.address).collect()
    }
}

/// An address that nothing listens at: the same in all lives of a server.
fn free_udp_address() -> anyhow::Result<SocketAddr> {
    Ok(UdpSocket::bind("127.0.0.1:0")?.local_addr()?)
}
