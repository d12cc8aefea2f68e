//! `introd bench flow`: one client sends messages to the server as fast as they are taken, on one flow.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use rtmfp::crypto::{HmacPreference, Identity, SequencePreference};
use rtmfp::flow::{Delivery, FlowEvent};
use rtmfp::{Config, Event};

use super::bounds::Bounds;
use super::client::FleetOptions;
use super::process::Process;
use super::report::{Meter, Progress, Report, Tally};
use introd_client::{Client, Destination, PeerEndpoint};
use introd_flash::client::ConnectOptions;
use introd_flash::message::{Message, kind};

/// The timeout for each step of connecting, and for the messages that are pending when the load ends.
const TIMEOUT: Duration = Duration::from_secs(5);

pub(super) fn run(
    options: &FleetOptions,
    bounds: &Bounds,
    size: usize,
    process: Option<Process>,
) -> anyhow::Result<Report> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(send(options, bounds, size, process))
}

async fn send(
    options: &FleetOptions,
    bounds: &Bounds,
    size: usize,
    process: Option<Process>,
) -> anyhow::Result<Report> {
    let mut client = connect(options).await?;
    // A server that relays no media drops the message once it is reassembled: only the flow is measured.
    let message = Message { kind: kind::VIDEO, timestamp: 0, payload: &vec![0x5a; size] }.to_bytes();
    let (session, control) = (client.session(), client.control());
    let mut tally = Tally::default();
    let mut progress = Progress::new("messages", bounds.count, bounds.duration);
    let mut sent = HashMap::new();
    let mut begun = 0u64;
    let meter = Meter::start(process)?;
    let begin = Instant::now();
    loop {
        let now = Instant::now();
        progress.show(now, tally.done);
        let is_over = now - begin >= bounds.duration || bounds.count.is_some_and(|count| begun >= count);
        if is_over && (sent.is_empty() || now - begin >= bounds.duration + TIMEOUT) {
            break;
        }
        while !is_over && sent.len() < bounds.window && bounds.count.is_none_or(|count| begun < count) {
            let delivery = Delivery { notify: true, ..Delivery::default() };
            let endpoint = &mut client.peer().endpoint;
            let Ok(id) = endpoint.send(now, session, control, message.clone(), delivery) else { break };
            sent.insert(id, now);
            begun += 1;
        }
        let Ok(event) = tokio::time::timeout(Duration::from_millis(50), client.next()).await else { continue };
        match event? {
            Event::Flow { session: of, event: FlowEvent::Delivered { message, .. } } if of == session => {
                if let Some(at) = sent.remove(&message) {
                    tally.add(at.elapsed());
                }
            }
            Event::Closed { session: of, reason } if of == session => {
                anyhow::bail!("the connection to the server ended: {reason}")
            }
            _ => (),
        }
    }
    let stopped = meter.stop();
    tally.lost = sent.len() as u64;
    client.close().await;
    Ok(stopped.report("messages", &tally)?.with_bytes(tally.done * size as u64))
}

async fn connect(options: &FleetOptions) -> anyhow::Result<Client> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    let identity = Identity::ephemeral(&[options.group], None, false, &mut ChaCha20Rng::from_seed(seed));
    let id = identity.peer_id();
    let mut config = Config::peer(Arc::new(identity));
    if options.plain {
        config.keying.hmac = HmacPreference::default();
        config.keying.sequence = SequencePreference::default();
    }
    let server = options.server(0);
    let destination = Destination::resolve(&server.uri, |address| *address == server.address).await?;
    let client =
        Client::connect(PeerEndpoint::new(config)?, id, destination, &ConnectOptions::default(), TIMEOUT).await;
    Ok(client?)
}
