//! The URI that a client connects to (RFC 7425 §6.1), read as loosely as clients write it.

/// An application path's most bytes. What is beyond is refused rather than cut.
pub const MAX_PATH_LEN: usize = 1024;

/// What an application or an instance without a name is called.
pub const DEFAULT_NAME: &str = "_definst_";

/// A `tcUrl` taken apart. Percent-encoding is kept as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uri {
    /// `rtmfp`, or whatever stood there, in lower case; empty if nothing did.
    pub scheme: String,
    /// The host as written, an IPv6 address without its brackets; empty if missing.
    pub host: String,
    /// The port; `None` if missing or not a port.
    pub port: Option<u16>,
    /// The path, without the query.
    pub path: String,
    /// What follows the first `?`; empty if there is none.
    pub query: String,
}

impl Uri {
    /// Takes `text` apart. Any text has a reading: what has no scheme is a path.
    pub fn parse(text: &str) -> Self {
        let text = text.split_once('#').map_or(text, |(before, _)| before);
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme.to_ascii_lowercase(), rest),
            _ => (String::new(), text),
        };
        let (authority, path) = match rest.strip_prefix("//") {
            Some(rest) => rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash)),
            None => ("", rest),
        };
        let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, rest)) => (host, rest.strip_prefix(':').unwrap_or("")),
            None => authority.rsplit_once(':').unwrap_or((authority, "")),
        };
        Self { scheme, host: host.to_owned(), port: port.parse().ok(), path: path.to_owned(), query: query.to_owned() }
    }
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|other| other.is_ascii_alphanumeric() || "+-.".contains(other))
}

/// The application that a client asks for, and which instance of it.
///
/// Any name is taken, a Cirrus developer key as well as `live/room1`. The parts are safe as names of files: none is `.`
/// or `..`, none holds a backslash or a control character.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppPath {
    /// The first part of the path, percent-encoding kept; [`DEFAULT_NAME`] if empty.
    pub application: String,
    /// The rest, which may have slashes in it; [`DEFAULT_NAME`] if empty.
    pub instance: String,
}

/// Why a path names no application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// More than [`MAX_PATH_LEN`] bytes.
    #[error("application path too long")]
    TooLong,
    /// A part that could be taken for something else than a name.
    #[error("application path with a part that is not a name")]
    NotAName,
}

impl AppPath {
    /// Reads `application/instance`. Empty parts, as double slashes make them, are left out.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        if path.len() > MAX_PATH_LEN {
            return Err(PathError::TooLong);
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        if parts.iter().any(|part| matches!(*part, "." | "..") || part.contains(|c: char| c == '\\' || c.is_control()))
        {
            return Err(PathError::NotAName);
        }
        let named = |text: String| if text.is_empty() { DEFAULT_NAME.to_owned() } else { text };
        let (application, instance) = parts.split_first().map_or(("", &[][..]), |(first, rest)| (*first, rest));
        Ok(Self { application: named(application.to_owned()), instance: named(instance.join("/")) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(scheme: &str, host: &str, port: Option<u16>, path: &str, query: &str) -> Uri {
        Uri { scheme: scheme.into(), host: host.into(), port, path: path.into(), query: query.into() }
    }

    #[test]
    fn uris() {
        for (text, parts) in [
            ("rtmfp://host:1935/app/instance?a=b&c", uri("rtmfp", "host", Some(1935), "/app/instance", "a=b&c")),
            ("RTMFP://host/app", uri("rtmfp", "host", None, "/app", "")),
            ("rtmfp://host", uri("rtmfp", "host", None, "", "")),
            ("rtmfp://host:/", uri("rtmfp", "host", None, "/", "")),
            ("rtmfp://host:99999/a", uri("rtmfp", "host", None, "/a", "")),
            ("rtmfp:///app", uri("rtmfp", "", None, "/app", "")),
            ("rtmfp:/app", uri("rtmfp", "", None, "/app", "")),
            ("rtmfp:", uri("rtmfp", "", None, "", "")),
            ("rtmfp://[2001:db8::1]:1936/a%2Fb", uri("rtmfp", "2001:db8::1", Some(1936), "/a%2Fb", "")),
            ("rtmfp://[2001:db8::1]", uri("rtmfp", "2001:db8::1", None, "", "")),
            ("rtmfp://user@host/a?x?y#z", uri("rtmfp", "host", None, "/a", "x?y")),
            ("/app/x", uri("", "", None, "/app/x", "")),
            ("app?key", uri("", "", None, "app", "key")),
            ("", uri("", "", None, "", "")),
        ] {
            assert_eq!(Uri::parse(text), parts, "{text}");
        }
    }

    #[test]
    fn paths() {
        for (text, application, instance) in [
            ("live", "live", DEFAULT_NAME),
            ("/live/room1/", "live", "room1"),
            ("live//a/b", "live", "a/b"),
            ("0123456789abcdef-developer-key", "0123456789abcdef-developer-key", DEFAULT_NAME),
            ("a%20b/c", "a%20b", "c"),
            ("...", "...", DEFAULT_NAME),
            ("", DEFAULT_NAME, DEFAULT_NAME),
            ("/", DEFAULT_NAME, DEFAULT_NAME),
        ] {
            let path = AppPath { application: application.into(), instance: instance.into() };
            assert_eq!(AppPath::parse(text), Ok(path), "{text}");
        }
    }

    #[test]
    fn parts_that_are_no_names() {
        for text in ["..", "a/../b", "a/.", "a\\b", "a\0b", "a\nb"] {
            assert_eq!(AppPath::parse(text), Err(PathError::NotAName), "{text}");
        }
        assert_eq!(AppPath::parse(&"x".repeat(MAX_PATH_LEN + 1)), Err(PathError::TooLong));
    }
}
