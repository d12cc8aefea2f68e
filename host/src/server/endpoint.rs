//! What the configuration means for the protocol engine.

use std::num::NonZeroU32;
use std::sync::Arc;

use introd_config::Config;
use rtmfp::crypto::Identity;
use rtmfp::flow::FlowConfig;
use rtmfp::{Config as EndpointConfig, ForwardedHello, Rate};

/// How many hellos are forwarded to one client at once, at least. Half of them may come from one network: a group
/// may have that many members there that are told of the client at the same time.
const FORWARD_BURST: u32 = 128;

/// The configuration of the endpoint of one of `workers` workers.
pub(super) fn endpoint_config(config: &Config, identities: Vec<Arc<Identity>>, workers: usize) -> EndpointConfig {
    let (limits, rtmfp) = (&config.server.limits, &config.default_adaptor.rtmfp);
    let mut endpoint = EndpointConfig::server(identities);
    if let Some(max) = limits.max_sessions {
        endpoint.max_sessions = usize::try_from(max).unwrap_or(usize::MAX).div_ceil(workers).max(1);
    }
    let share = limits.max_sessions_per_address.map(|max| usize::try_from(max).unwrap_or(usize::MAX));
    endpoint.max_sessions_per_prefix = share.unwrap_or(usize::MAX);
    // Sessions stay with their worker, so each worker has its part of the buffers. A client that fills a part
    // affects the sessions of that worker only.
    endpoint.max_buffered =
        limits.max_buffered.map_or(usize::MAX, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX).div_ceil(workers));
    let jobs = usize::try_from(limits.max_pending_handshakes).unwrap_or(usize::MAX);
    endpoint.max_keying_jobs = jobs.div_ceil(workers).max(1);
    endpoint.forwarded_hello = match rtmfp.forwarded_hello {
        introd_config::ForwardedHello::RespondHello => ForwardedHello::RespondHello,
        introd_config::ForwardedHello::Redirect => ForwardedHello::ImpliedRedirect,
        introd_config::ForwardedHello::Ignore => ForwardedHello::Ignore,
    };
    endpoint.max_work = limits
        .max_session_work
        .map(|max| NonZeroU32::new(u32::try_from(max).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN));
    endpoint.max_forwards = limits.max_forward_rate.map(|rate| {
        let per_second = u32::try_from(rate).unwrap_or(u32::MAX).max(1);
        Rate { burst: per_second.max(FORWARD_BURST), per_second }
    });
    endpoint.silence_limit = rtmfp.dead_peer_timeout;
    endpoint.keepalive = rtmfp.dead_peer_timeout / 2;
    // Clients send commands, not media: the server keeps little for each.
    endpoint.flow = Arc::new(FlowConfig {
        receive_buffer: 256 << 10,
        session_receive_buffer: 1 << 20,
        max_message: 1 << 20,
        send_buffer: rtmfp.send_buffer,
        ..FlowConfig::default()
    });
    endpoint
}
