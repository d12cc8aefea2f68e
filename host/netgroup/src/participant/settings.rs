//! The engine's settings for an endpoint whose groups have no server (WIRE.md §4.3).

use std::sync::Arc;
use std::time::Duration;

use rtmfp::crypto::Identity;
use rtmfp::flow::FlowConfig;
use rtmfp::{Config, Rate};

/// A member that has been silent for this long is pinged.
pub const KEEPALIVE: Duration = Duration::from_secs(5);
/// A member that has been silent for this long, although it was pinged each second or so, is gone: its neighbours notice that within this
/// time of its last packet. A member that leaves in an orderly way is gone at once.
pub const SILENCE_LIMIT: Duration = Duration::from_secs(15);

/// The settings of an endpoint without a server: as [`Config::peer`], but the members of a group notice the death of one another
/// within [`SILENCE_LIMIT`], and what strangers and neighbours can make this end hold is bounded more narrowly.
pub fn serverless_config(identity: Arc<Identity>) -> Config {
    Config {
        max_sessions: 4096,
        max_sessions_per_prefix: 1024,
        max_buffered: 64 << 20,
        max_keying_jobs: 64,
        keepalive: KEEPALIVE,
        silence_limit: SILENCE_LIMIT,
        unacknowledged_limit: Some(Duration::from_secs(60)),
        first_packet_limit: SILENCE_LIMIT,
        max_forwards: Some(Rate { burst: 64, per_second: 10 }),
        flow: Arc::new(FlowConfig {
            receive_buffer: 256 << 10,
            session_receive_buffer: 1 << 20,
            max_message: 256 << 10,
            ..FlowConfig::default()
        }),
        ..Config::peer(identity)
    }
}
