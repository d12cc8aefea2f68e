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
    endpoint.max_datagram = rtmfp.max_datagram_size;
    // Clients send commands, not media: the server keeps little for each.
    endpoint.flow = Arc::new(FlowConfig {
        packet_payload: FlowConfig::payload_of(rtmfp.max_datagram_size),
        receive_buffer: 256 << 10,
        session_receive_buffer: 1 << 20,
        max_message: 1 << 20,
        send_buffer: rtmfp.send_buffer,
        ..FlowConfig::default()
    });
    endpoint
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(workers: usize, change: impl FnOnce(&mut Config)) -> EndpointConfig {
        let mut config = Config::built_in();
        change(&mut config);
        endpoint_config(&config, Vec::new(), workers)
    }

    #[test]
    fn each_worker_has_its_part_of_the_limits_and_at_least_one() {
        let parts = |workers, max: u64| {
            let endpoint = of(workers, |config| {
                let limits = &mut config.server.limits;
                (limits.max_sessions, limits.max_buffered, limits.max_pending_handshakes) = (Some(max), Some(max), max);
                limits.max_sessions_per_address = Some(max);
            });
            [
                endpoint.max_sessions,
                endpoint.max_buffered,
                endpoint.max_keying_jobs,
                // Addresses are not spread over the workers evenly.
                endpoint.max_sessions_per_prefix,
            ]
        };
        assert_eq!(parts(1, 1000), [1000, 1000, 1000, 1000]);
        assert_eq!(parts(4, 1001), [251, 251, 251, 1001]);
        assert_eq!(parts(4, 0), [1, 0, 1, 0]);
        let without = of(4, |config| {
            (config.server.limits.max_buffered, config.server.limits.max_sessions_per_address) = (None, None);
        });
        assert_eq!((without.max_buffered, without.max_sessions_per_prefix), (usize::MAX, usize::MAX));
    }

    #[test]
    fn work_and_forwarded_hellos_are_limited_as_the_settings_say() {
        let limited = |work, forwards| {
            let endpoint = of(2, |config| {
                let limits = &mut config.server.limits;
                (limits.max_session_work, limits.max_forward_rate) = (work, forwards);
            });
            (endpoint.max_work.map(NonZeroU32::get), endpoint.max_forwards)
        };
        let rate = |burst, per_second| Some(Rate { burst, per_second });
        assert_eq!(limited(None, None), (None, None));
        assert_eq!(limited(Some(5), Some(20)), (Some(5), rate(FORWARD_BURST, 20)));
        assert_eq!(limited(Some(0), Some(0)), (Some(1), rate(FORWARD_BURST, 1)), "0 is not without a limit");
        assert_eq!(limited(Some(u64::MAX), Some(500)), (Some(u32::MAX), rate(500, 500)));
    }

    #[test]
    fn what_the_adaptor_says_of_timeouts_and_forwarded_hellos_reaches_the_engine() {
        let endpoint = of(1, |config| {
            let rtmfp = &mut config.default_adaptor.rtmfp;
            (rtmfp.dead_peer_timeout, rtmfp.send_buffer) = (Duration::from_secs(50), 12_345);
            rtmfp.max_datagram_size = 1432;
            rtmfp.forwarded_hello = introd_config::ForwardedHello::Ignore;
        });
        assert_eq!((endpoint.silence_limit, endpoint.keepalive), (Duration::from_secs(50), Duration::from_secs(25)));
        assert_eq!(endpoint.flow.send_buffer, 12_345);
        assert_eq!((endpoint.max_datagram, endpoint.flow.packet_payload), (1432, 1340));
        assert!(endpoint.flow.session_receive_buffer <= 1 << 20 && endpoint.flow.receive_buffer <= 256 << 10);
        assert_eq!(endpoint.forwarded_hello, ForwardedHello::Ignore);
    }
}
