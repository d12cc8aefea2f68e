//! `url`: the parts of URLs, and the encoding of what stands in them.

use std::borrow::Cow;
use std::rc::Rc;

use mlua::{IntoLuaMulti as _, Lua, LuaString, Result, Table, Value};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use url::Url;

use super::outside::{self, refused};
use crate::engine::vm_context::VmContext;

/// The longest URL that is parsed, in bytes.
const MAX_URL: usize = 64 << 10;

/// What stands for itself anywhere in a URL (RFC 3986, section 2.3).
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Makes the table `url`.
pub(super) fn register(lua: &Lua, context: &Rc<VmContext>) -> Result<()> {
    let url = lua.create_table()?;
    let shared = Rc::clone(context);
    url.raw_set(
        "parse",
        lua.create_function(move |lua, text: Value| {
            shared.on_time()?;
            match outside::text(text).and_then(|text| parsed(&text.as_bytes())) {
                Ok(url) => describe(lua, &url)?.into_lua_multi(lua),
                Err(problem) => refused(lua, &problem),
            }
        })?,
    )?;
    let shared = Rc::clone(context);
    url.raw_set(
        "encode",
        lua.create_function(move |lua, text: LuaString| {
            let bytes = text.as_bytes();
            shared.begin(bytes.len())?;
            // At worst each byte becomes three.
            let mut held = shared.held();
            held.grow_to(lua, bytes.len().saturating_mul(3))?;
            let encoded: Cow<'_, str> = percent_encode(&bytes, ENCODED).into();
            lua.create_string(encoded.as_bytes())
        })?,
    )?;
    let shared = Rc::clone(context);
    url.raw_set(
        "decode",
        lua.create_function(move |lua, text: Value| {
            let text = match outside::text(text) {
                Ok(text) => text,
                Err(problem) => return refused(lua, &problem),
            };
            let bytes = text.as_bytes();
            shared.begin(bytes.len())?;
            if let Some(at) = wrong_escape(&bytes) {
                return refused(lua, &format!("the % at byte {} is not followed by two hexadecimal digits", at + 1));
            }
            let mut held = shared.held();
            held.grow_to(lua, bytes.len())?;
            let decoded: Cow<'_, [u8]> = percent_decode(&bytes).into();
            lua.create_string(decoded)?.into_lua_multi(lua)
        })?,
    )?;
    lua.globals().raw_set("url", url)
}

fn parsed(text: &[u8]) -> std::result::Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("a URL has at most {MAX_URL} bytes"));
    }
    let text = std::str::from_utf8(text).map_err(|_| "a URL is UTF-8 text".to_owned())?;
    Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => "a URL begins with its scheme, as in rtmfp://host/app".to_owned(),
        other => other.to_string(),
    })
}

/// The parts of a URL. What is not in the URL is nil.
fn describe(lua: &Lua, url: &Url) -> Result<Table> {
    let parts = lua.create_table()?;
    let decoded = |text: &str| lua.create_string(Cow::from(percent_decode(text.as_bytes())));
    parts.raw_set("scheme", url.scheme())?;
    if !url.username().is_empty() {
        parts.raw_set("user", decoded(url.username())?)?;
    }
    parts.raw_set("password", url.password().map(decoded).transpose()?)?;
    parts.raw_set("host", url.host_str().filter(|host| !host.is_empty()))?;
    parts.raw_set("port", url.port_or_known_default().or_else(|| default_port(url)))?;
    parts.raw_set("path", url.path())?;
    parts.raw_set("query", url.query())?;
    let parameters = lua.create_table()?;
    for (name, value) in url.query_pairs() {
        // Who appends a second value to a URL does not replace the first.
        if !parameters.contains_key(&*name)? {
            parameters.raw_set(&*name, &*value)?;
        }
    }
    parts.raw_set("parameters", parameters)?;
    parts.raw_set("fragment", url.fragment())?;
    Ok(parts)
}

/// The port of URLs that name none, of the schemes that only this server knows.
fn default_port(url: &Url) -> Option<u16> {
    (url.has_host() && ["rtmfp", "rtmp"].contains(&url.scheme())).then_some(1935)
}

/// Where a percent sign is not followed by two hexadecimal digits.
fn wrong_escape(text: &[u8]) -> Option<usize> {
    let is_right = |at: usize| text.get(at + 1..at + 3).is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit));
    text.iter().enumerate().find(|(at, byte)| **byte == b'%' && !is_right(*at)).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_url_says_why() {
        for (text, expected) in [
            (&b""[..], "begins with its scheme"),
            (b"host/app", "begins with its scheme"),
            (b"http://", "empty host"),
            (b"http://a:99999/", "invalid port"),
            (b"rtmfp://a b/", "invalid domain character"),
            (b"http://\xff/", "UTF-8"),
            (b"http://[::1/", "invalid IPv6"),
        ] {
            let problem = parsed(text).unwrap_err();
            assert!(problem.contains(expected), "{text:?}: {problem}");
        }
        let long = [&b"rtmfp://host/"[..], &vec![b'a'; MAX_URL]].concat();
        assert!(parsed(&long).unwrap_err().contains("at most"));
    }

    #[test]
    fn an_escape_needs_two_digits() {
        for (text, at) in [("", None), ("a%20b%FF", None), ("%", Some(0)), ("a%2", Some(1)), ("%20%2x", Some(3))] {
            assert_eq!(wrong_escape(text.as_bytes()), at, "{text}");
        }
    }
}
