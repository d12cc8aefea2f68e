//! The host's further tables, which plugins ask for by name: log, metrics, timers, registry and groups.

use std::ffi::{CStr, c_char, c_void};
use std::time::Duration;

use introd_netgroup::GroupDigest;
use introd_plugin::abi::{
    self, introd_address, introd_bytes, introd_client, introd_group_event, introd_group_id, introd_host,
    introd_peer_id, introd_token,
};
use rtmfp::PeerId;

use super::context::Context;
use super::groups;
use super::guarded::{guarded, sent};
use super::values::{self, raw_client, session};

/// The longest line that a plugin may log, in bytes: a longer one is cut off.
const MAX_LINE: usize = 4096;

/// The host's further tables, which are the same for all instances.
struct Tables {
    log: abi::introd_host_log,
    metrics: abi::introd_host_metrics,
    timer: abi::introd_host_timer,
    registry: abi::introd_host_registry,
    groups: abi::introd_host_groups,
}

static TABLES: Tables = Tables {
    log: abi::introd_host_log {
        struct_size: size_of::<abi::introd_host_log>() as u32,
        reserved: 0,
        is_enabled: Some(is_enabled),
        log: Some(log),
    },
    metrics: abi::introd_host_metrics {
        struct_size: size_of::<abi::introd_host_metrics>() as u32,
        reserved: 0,
        metric: Some(metric),
        add: Some(add),
        set: Some(set),
    },
    timer: abi::introd_host_timer {
        struct_size: size_of::<abi::introd_host_timer>() as u32,
        reserved: 0,
        start: Some(start_timer),
        stop: Some(stop_timer),
    },
    registry: abi::introd_host_registry {
        struct_size: size_of::<abi::introd_host_registry>() as u32,
        reserved: 0,
        changed: Some(registry_changed),
    },
    groups: abi::introd_host_groups {
        struct_size: size_of::<abi::introd_host_groups>() as u32,
        reserved: 0,
        members: Some(members),
        hint: Some(hint),
    },
};

pub(super) unsafe extern "C" fn get_extension(_: *const introd_host, id: *const c_char) -> *const c_void {
    if id.is_null() {
        return std::ptr::null();
    }
    // SAFETY: the plugin gives a text that ends with a zero byte.
    let id = unsafe { CStr::from_ptr(id) };
    let known: [(&CStr, *const c_void); 5] = [
        (abi::INTROD_EXT_LOG, (&raw const TABLES.log).cast()),
        (abi::INTROD_EXT_METRICS, (&raw const TABLES.metrics).cast()),
        (abi::INTROD_EXT_TIMER, (&raw const TABLES.timer).cast()),
        (abi::INTROD_EXT_REGISTRY, (&raw const TABLES.registry).cast()),
        (abi::INTROD_EXT_GROUPS, (&raw const TABLES.groups).cast()),
    ];
    known.into_iter().find(|(name, _)| *name == id).map_or(std::ptr::null(), |(_, table)| table)
}

unsafe extern "C" fn is_enabled(host: *const introd_host, level: u32) -> u32 {
    // SAFETY: the plugin gives its host's table.
    guarded(0, || unsafe { Context::of(host) }.map(|_| u32::from(is_logged(level))))
}

fn is_logged(level: u32) -> bool {
    match level {
        abi::INTROD_LOG_ERROR => tracing::enabled!(tracing::Level::ERROR),
        abi::INTROD_LOG_WARN => tracing::enabled!(tracing::Level::WARN),
        abi::INTROD_LOG_INFO => tracing::enabled!(tracing::Level::INFO),
        abi::INTROD_LOG_DEBUG => tracing::enabled!(tracing::Level::DEBUG),
        _ => tracing::enabled!(tracing::Level::TRACE),
    }
}

unsafe extern "C" fn log(host: *const introd_host, level: u32, text: introd_bytes) {
    guarded((), || {
        // SAFETY: the plugin gives its host's table.
        let context = unsafe { Context::of(host) }?;
        if text.ptr.is_null() || !is_logged(level) {
            return None;
        }
        // SAFETY: the text is valid for the call.
        let bytes = unsafe { std::slice::from_raw_parts(text.ptr, text.len.min(MAX_LINE)) };
        let (plugin, text) = (&context.name, String::from_utf8_lossy(bytes));
        // Whatever the plugin writes, it cannot begin another line.
        let text = text.escape_debug();
        match level {
            abi::INTROD_LOG_ERROR => tracing::error!(%plugin, "{text}"),
            abi::INTROD_LOG_WARN => tracing::warn!(%plugin, "{text}"),
            abi::INTROD_LOG_INFO => tracing::info!(%plugin, "{text}"),
            abi::INTROD_LOG_DEBUG => tracing::debug!(%plugin, "{text}"),
            _ => tracing::trace!(%plugin, "{text}"),
        }
        Some(())
    });
}

unsafe extern "C" fn metric(host: *const introd_host, kind: u32, name: introd_bytes, help: introd_bytes) -> u32 {
    guarded(0, || {
        // SAFETY: the plugin gives its host's table, and texts that are valid for the call.
        let (context, name, help) = unsafe { (Context::of(host)?, values::text(name)?, values::text(help)?) };
        let is_gauge = match kind {
            abi::INTROD_METRIC_COUNTER => false,
            abi::INTROD_METRIC_GAUGE => true,
            _ => return None,
        };
        Some(context.metrics.find(&context.state.metrics, &name, &help, is_gauge))
    })
}

unsafe extern "C" fn add(host: *const introd_host, metric: u32, amount: i64) {
    // SAFETY: the plugin gives its host's table.
    guarded((), || unsafe { Context::of(host) }.map(|context| context.metrics.add(metric, amount)));
}

unsafe extern "C" fn set(host: *const introd_host, metric: u32, value: i64) {
    // SAFETY: the plugin gives its host's table.
    guarded((), || unsafe { Context::of(host) }.map(|context| context.metrics.set(metric, value)));
}

unsafe extern "C" fn start_timer(host: *const introd_host, after_ms: u64, every_ms: u64, user: u64) -> introd_token {
    guarded(0, || {
        // SAFETY: the plugin gives its host's table.
        let context = unsafe { Context::of(host) }?;
        if !context.has_timers {
            return None;
        }
        let every = (every_ms > 0).then(|| Duration::from_millis(every_ms));
        context.state.timers.start(&context.timer_owner, Duration::from_millis(after_ms), every, user)
    })
}

unsafe extern "C" fn stop_timer(host: *const introd_host, timer: introd_token) -> i32 {
    guarded(abi::INTROD_E_TOKEN, || {
        // SAFETY: the plugin gives its host's table.
        let context = unsafe { Context::of(host) }?;
        context.state.timers.stop(context.owner, timer).then_some(abi::INTROD_OK)
    })
}

/// Does nothing: the server keeps what a registry has answered for a quarter of a second at most, so that no change need be told.
unsafe extern "C" fn registry_changed(
    _: *const introd_host,
    _: *const introd_peer_id,
    _: *const introd_address,
    _: usize,
) {
}

unsafe extern "C" fn members(
    host: *const introd_host,
    event: *const introd_group_event,
    choice: u32,
    members: *mut introd_client,
    room: usize,
) -> usize {
    guarded(0, || {
        // SAFETY: the plugin gives its host's table, and the event of the callback that runs.
        unsafe { Context::of(host)? };
        if members.is_null() {
            return None;
        }
        let chosen = groups::choose(event, choice, room)?;
        for (index, (peer, session)) in chosen.iter().enumerate().take(room) {
            // SAFETY: the plugin has room for that many there.
            unsafe { members.add(index).write(raw_client(*session, *peer)) };
        }
        Some(chosen.len().min(room))
    })
}

unsafe extern "C" fn hint(
    host: *const introd_host,
    id: *const introd_group_id,
    how: u32,
    to: *const introd_client,
    about: *const introd_peer_id,
) -> i32 {
    guarded(abi::INTROD_E_ARGUMENT, || {
        // SAFETY: the plugin gives its host's table, and what is valid for the call.
        let (context, id, to, about) = unsafe { (Context::of(host)?, id.as_ref()?, to.as_ref()?, about.as_ref()?) };
        if !matches!(how, abi::INTROD_HINT_MEMBER | abi::INTROD_HINT_NEIGHBOR) {
            return None;
        }
        let server = context.state.server_access()?;
        Some(sent(server.hint(session(to)?, GroupDigest(id.bytes), PeerId(about.bytes))))
    })
}
