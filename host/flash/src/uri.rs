//! The URI that a client connects to (RFC 7425 §6.1), and the names of applications. URIs are read leniently, since clients write them
//! in many ways; but each application has only one name.

use std::borrow::Cow;
use std::net::IpAddr;

/// The longest application path in bytes. A longer one is refused, not cut.
pub const MAX_PATH_LEN: usize = 1024;

/// RTMFP's port, where a URI names none (RFC 7425 §6.1).
pub const DEFAULT_PORT: u16 = 1935;

/// The name of an application or an instance if the path names none.
pub const DEFAULT_NAME: &str = "_definst_";

/// The parts of a `tcUrl`. Percent-encoding is kept as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Uri {
    /// The scheme in lower case, such as `rtmfp`; empty if there is none.
    pub scheme: String,
    /// The host in lower case, without the dot that may end a name. An IP address is its shortest text, without brackets. Empty if there
    /// is none.
    pub host: String,
    /// The port; `None` if it is missing or not a number of a port.
    pub port: Option<u16>,
    /// The path, without the query.
    pub path: String,
    /// The text after the first `?`; empty if there is none.
    pub query: String,
}

impl Uri {
    /// Parses a URI. This does not fail: a text without a scheme is a path.
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
        Self { scheme, host: host_name(host), port: port.parse().ok(), path: path.to_owned(), query: query.to_owned() }
    }
}

/// The host in the spelling with which virtual hosts are compared.
fn host_name(text: &str) -> String {
    // A `%` in an IPv6 address begins its zone.
    let text = if text.contains(':') { None } else { unescaped(text) }.unwrap_or(Cow::Borrowed(text));
    match text.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().to_string(),
        Err(_) => text.strip_suffix('.').unwrap_or(&text).to_lowercase(),
    }
}

/// The text with its percent-escapes resolved once. A `%` that begins no escape stays. `None` if the bytes are not UTF-8.
fn unescaped(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('%') {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let mut byte = [0];
        let is_escape =
            *first == b'%' && after.get(..2).is_some_and(|digits| hex::decode_to_slice(digits, &mut byte).is_ok());
        bytes.push(if is_escape { byte[0] } else { *first });
        rest = if is_escape { &after[2..] } else { after };
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// RFC 3986 §3.1.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|other| other.is_ascii_alphanumeric() || "+-.".contains(other))
}

/// The application and the instance that a client asks for.
///
/// Any name is accepted, a Cirrus developer key as well as `live/room1`. Each name has one spelling: percent-escapes are resolved, the query and
/// the fragment are cut off, and empty parts are left out. Case counts, as in names of files: `Live` and `live` are two applications, and
/// so are names whose letters are composed of different code points. The parts are safe as names of files: none is `.` or `..`, and
/// none has a slash, a backslash or a control character in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct AppPath {
    /// The first part of the path, or [`DEFAULT_NAME`].
    pub application: String,
    /// The other parts, joined by slashes, or [`DEFAULT_NAME`].
    pub instance: String,
}

/// Why a path names no application.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The path is longer than [`MAX_PATH_LEN`].
    #[error("application path too long")]
    TooLong,
    /// A part could be taken for something else than a name.
    #[error("application path with a part that is not a name")]
    NotAName,
}

impl AppPath {
    /// Reads `application/instance`. Empty parts, which double slashes make, are left out.
    ///
    /// # Errors
    /// If the path is too long, or a part is not a name.
    pub fn parse(path: &str) -> Result<Self, PathError> {
        let path = path.split(['?', '#']).next().unwrap_or_default();
        if path.len() > MAX_PATH_LEN {
            return Err(PathError::TooLong);
        }
        let parts = path.split('/').filter(|part| !part.is_empty()).map(name);
        let parts: Vec<Cow<'_, str>> = parts.collect::<Result<_, _>>()?;
        let named = |text: String| if text.is_empty() { DEFAULT_NAME.to_owned() } else { text };
        let (application, instance) = parts.split_first().map_or(("", &[][..]), |(first, rest)| (&**first, rest));
        Ok(Self { application: named(application.to_owned()), instance: named(instance.join("/")) })
    }
}

/// The name that a part of a path spells.
fn name(part: &str) -> Result<Cow<'_, str>, PathError> {
    let name = unescaped(part).ok_or(PathError::NotAName)?;
    let is_name = !matches!(&*name, "." | "..") && !name.contains(|c: char| matches!(c, '/' | '\\') || c.is_control());
    if is_name { Ok(name) } else { Err(PathError::NotAName) }
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
            ("a%20b/c", "a b", "c"),
            ("%6cive/%72oom1", "live", "room1"),
            ("Live", "Live", DEFAULT_NAME),
            ("live?key=/../x", "live", DEFAULT_NAME),
            ("live/room1#/x?y", "live", "room1"),
            ("100%/%zz/%4", "100%", "%zz/%4"),
            ("%2569", "%69", DEFAULT_NAME),
            ("caf%C3%A9", "café", DEFAULT_NAME),
            ("%e2%82%ac", "€", DEFAULT_NAME),
            ("...", "...", DEFAULT_NAME),
            ("", DEFAULT_NAME, DEFAULT_NAME),
            ("/", DEFAULT_NAME, DEFAULT_NAME),
        ] {
            let path = AppPath { application: application.into(), instance: instance.into() };
            assert_eq!(AppPath::parse(text), Ok(path), "{text}");
        }
    }

    #[test]
    fn parts_that_are_not_names() {
        for text in [
            "..", "a/../b", "a/.", "a\\b", "a\0b", "a\nb", "a\u{85}b", "good%00", "a%0ab", "a%2fb", "a%5Cb", "%2e%2e",
            "a/.%2e", "a/%2e", "a%ff", "%c3", "%7f",
        ] {
            assert_eq!(AppPath::parse(text), Err(PathError::NotAName), "{text}");
        }
        assert!(AppPath::parse(&"x".repeat(MAX_PATH_LEN)).is_ok());
        assert_eq!(AppPath::parse(&"x".repeat(MAX_PATH_LEN + 1)), Err(PathError::TooLong));
    }

    /// No application has two names, so that none escapes its own settings.
    #[test]
    fn each_name_has_one_spelling() {
        for spellings in [
            &["club/room", "/club/room/", "//club//room//", "club/room?a", "%63lub/roo%6D", "club/room#x"][..],
            &["", "/", "//", "_definst_", "/_definst_/_definst_", "?x", "%5fdefinst_"],
        ] {
            let paths: Vec<_> = spellings.iter().map(|text| AppPath::parse(text).unwrap()).collect();
            assert!(paths.windows(2).all(|pair| pair[0] == pair[1]), "{paths:?}");
        }
    }

    #[test]
    fn each_host_has_one_spelling() {
        for (text, host) in [
            ("rtmfp://Chat.Example/a", "chat.example"),
            ("rtmfp://chat.example./a", "chat.example"),
            ("rtmfp://chat%2eexample:1935/a", "chat.example"),
            ("rtmfp://user:password@chat.example:1935/a", "chat.example"),
            ("rtmfp://BÜCHER.example/a", "bücher.example"),
            ("rtmfp://[2001:DB8:0::1]:1935/a", "2001:db8::1"),
            ("rtmfp://[::ffff:192.0.2.1]/a", "192.0.2.1"),
            ("rtmfp://192.0.2.1/a", "192.0.2.1"),
            ("rtmfp://%ff/a", "%ff"),
        ] {
            assert_eq!(Uri::parse(text).host, host, "{text}");
        }
    }

    #[test]
    fn what_is_no_scheme_is_part_of_the_path() {
        for text in ["/app:x/y", "1x:y", "+x:y", ":y", "a b:y", "a_b:y", "a/b:y"] {
            assert_eq!(Uri::parse(text), uri("", "", None, text, ""), "{text}");
        }
        assert_eq!(Uri::parse("h-t.P+1:y"), uri("h-t.p+1", "", None, "y", ""));
    }
}
