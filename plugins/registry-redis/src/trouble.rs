//! What an error of Redis means: whether the connection is useless, and what an operator can do.
//!
//! | error | meaning | effect on one Redis, with sentinels | effect in a cluster |
//! |---|---|---|---|
//! | none in time, connection closed, not Redis's protocol | Redis is gone, hangs, or is something else | lost | refused |
//! | `LOADING`, `MASTERDOWN` | it answers nothing until it has loaded its data, or has found its master | lost | refused |
//! | `NOAUTH`, `WRONGPASS` | the login is wrong | lost | lost |
//! | `READONLY` | it is a replica, which answers lookups | refused; with sentinels lost, because another is the master | refused |
//! | `OOM` | it is full, and evicts nothing | refused | refused |
//! | `MISCONF` | it cannot save its data | refused | refused |
//! | `NOREPLICAS` | it has too few replicas | refused | refused |
//! | `NOPERM` | the user may not do that | refused | refused |
//! | `BUSY`, `TRYAGAIN`, `CLUSTERDOWN` | not now, or not this key | refused | refused |
//! | any other | | refused | refused |
//!
//! *Lost*: the connection is replaced, and until then lookups of remote peers fail at once. *Refused*: this command has failed, and others
//! may succeed, so that the connection stays.

use redis::{ErrorKind, RedisError};

use crate::settings::Mode;

/// Whether an error means that the connection is useless, so that a new one is needed.
pub(crate) fn is_lost(error: &RedisError, mode: Mode) -> bool {
    match code(error) {
        "NOAUTH" | "WRONGPASS" => true,
        // The errors of one node say nothing about the others. If no node accepts a heartbeat, the session ends the connection.
        _ if mode == Mode::Cluster => false,
        "LOADING" | "MASTERDOWN" => true,
        "READONLY" => mode == Mode::Sentinel,
        _ => is_cut(error),
    }
}

/// Whether there was no answer from Redis at all.
pub(crate) fn is_cut(error: &RedisError) -> bool {
    error.is_io_error() || error.is_timeout() || error.is_connection_dropped() || error.is_unrecoverable_error()
}

/// The first word of Redis's answer, or what the Redis client calls the error.
pub(crate) fn code(error: &RedisError) -> &str {
    match error.kind() {
        ErrorKind::AuthenticationFailed => "WRONGPASS",
        _ => error.code().unwrap_or_else(|| error.category()),
    }
}

/// The error with its code, for the log.
pub(crate) fn describe(error: &RedisError) -> String {
    match (error.code(), error.detail()) {
        (Some(code), Some(detail)) => format!("{code} {detail}"),
        (Some(code), None) => code.to_owned(),
        (None, _) => error.to_string(),
    }
}

/// What an operator can do, as the end of a sentence; empty if nothing is known.
pub(crate) fn advice(error: &RedisError) -> &'static str {
    match code(error) {
        "OOM" => "; Redis is full: give it more memory (maxmemory), or remove other data",
        "MISCONF" => {
            "; Redis cannot save its data: see its log, free its disk, or set its stop-writes-on-bgsave-error to no"
        }
        "READONLY" => "; Redis is a replica: give the address of the master in <url>",
        "NOREPLICAS" => "; too few replicas of Redis are connected: see its min-replicas-to-write",
        "NOPERM" => "; give the user the permissions that the README of registry-redis names",
        "BUSY" => "; a script of another program runs for too long in Redis",
        "CLUSTERDOWN" => "; a part of the cluster is down: see CLUSTER INFO",
        "MOVED" | "CROSSSLOT" => "; Redis is a cluster: set <mode> to cluster",
        "NOAUTH" | "WRONGPASS" => {
            "; Redis rejects the login: correct <username> and <password> in Server.xml, or what they are read from, and send the \
             server SIGHUP"
        }
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    /// The error that the Redis client makes of an answer.
    fn answer(text: &str) -> RedisError {
        let bytes = format!("-{text}\r\n");
        redis::parse_redis_value(bytes.as_bytes()).and_then(Value::extract_error).unwrap_err()
    }

    #[test]
    fn only_what_makes_the_whole_connection_useless_ends_it() {
        // The answer, whether it ends the connection to one Redis, with sentinels, to a cluster, and a word of the advice.
        for (text, single, sentinel, cluster, word) in [
            ("OOM command not allowed when used memory > 'maxmemory'.", false, false, false, "maxmemory"),
            ("MISCONF Redis is configured to save RDB snapshots", false, false, false, "stop-writes-on-bgsave-error"),
            ("READONLY You can't write against a read only replica.", false, true, false, "replica"),
            ("NOREPLICAS Not enough good replicas to write.", false, false, false, "min-replicas-to-write"),
            ("NOPERM User introd has no permissions to run the 'set' command", false, false, false, "permissions"),
            ("BUSY Redis is busy running a script.", false, false, false, "script"),
            ("CLUSTERDOWN Hash slot not served", false, false, false, "CLUSTER INFO"),
            ("TRYAGAIN Multiple keys request during rehashing of slot", false, false, false, ""),
            ("MOVED 3999 127.0.0.1:6381", false, false, false, "<mode>"),
            ("ERR unknown command", false, false, false, ""),
            ("LOADING Redis is loading the dataset in memory", true, true, false, ""),
            ("MASTERDOWN Link with MASTER is down", true, true, false, ""),
            ("NOAUTH Authentication required.", true, true, true, "<password>"),
            ("WRONGPASS invalid username-password pair", true, true, true, "SIGHUP"),
        ] {
            let error = answer(text);
            let is_lost = [Mode::Single, Mode::Sentinel, Mode::Cluster].map(|mode| is_lost(&error, mode));
            assert_eq!(is_lost, [single, sentinel, cluster], "{text}");
            assert_eq!(advice(&error).is_empty(), word.is_empty(), "{text}");
            assert!(advice(&error).contains(word), "{text}");
            assert_eq!(describe(&error), text);
        }
        let cut = RedisError::from(std::io::Error::from(std::io::ErrorKind::TimedOut));
        assert_eq!([Mode::Single, Mode::Sentinel, Mode::Cluster].map(|mode| is_lost(&cut, mode)), [true, true, false]);
        assert!(is_cut(&cut) && !is_cut(&answer("OOM full")));
        let login = RedisError::from((ErrorKind::AuthenticationFailed, "no"));
        assert!(is_lost(&login, Mode::Cluster) && code(&login) == "WRONGPASS");
    }
}
