//! The thread of a worker.

use std::sync::{Arc, mpsc};

use anyhow::Context as _;
use introd_liveness::Pulse;
use introd_udp::{Ports, UdpSocket};
use rtmfp::Endpoint;
use tokio::sync::watch;

use crate::network::Listener;
use crate::record::Recorder;
use crate::serve::{Inheritance, KeyingPool, Mail, MailSender, Services, Worker, WorkerParts};

/// The parts of a worker that its thread needs to start.
pub(super) struct WorkerThread {
    pub(super) index: u8,
    pub(super) endpoint: Endpoint,
    pub(super) listeners: Vec<Listener>,
    pub(super) sockets: Vec<UdpSocket>,
    pub(super) mailbox: tokio::sync::mpsc::Receiver<Mail>,
    pub(super) mailboxes: Arc<[MailSender]>,
    pub(super) keying: Arc<KeyingPool>,
    pub(super) services: Arc<Services>,
    pub(super) stop: watch::Receiver<bool>,
    pub(super) recorder: Option<Recorder>,
    /// It begins with the sessions of another process.
    pub(super) inheritance: Option<Inheritance>,
}

impl WorkerThread {
    /// Serves until the server stops. `ready` receives whether the worker could start.
    pub(super) fn work(self, pulse: Pulse, ready: mpsc::Sender<std::io::Result<()>>) -> anyhow::Result<()> {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return Ok(ready.send(Err(error))?),
        };
        runtime.block_on(async {
            let ports = match Ports::new(self.sockets) {
                Ok(ports) => ports,
                Err(error) => return Ok(ready.send(Err(error))?),
            };
            let mut worker = Worker::new(WorkerParts {
                index: self.index,
                endpoint: self.endpoint,
                ports,
                listeners: self.listeners,
                mailbox: self.mailbox,
                mailboxes: self.mailboxes,
                keying: self.keying,
                services: self.services,
                stop: self.stop,
                recorder: self.recorder,
                pulse,
            });
            let _ = ready.send(Ok(()));
            drop(ready);
            if let Some(inheritance) = self.inheritance
                && !worker.inherit(inheritance).await
            {
                return Ok(());
            }
            worker.run().await.context("a socket has failed and its clients are lost")
        })
    }
}
