//! What a request says of its caller.

use std::net::IpAddr;

use axum::http::{HeaderMap, Uri, header};

use super::query::Query;

/// The longest user name and the longest password that are looked at, in bytes.
const MAX_CREDENTIAL: usize = 1024;

/// The caller of one request.
pub(super) struct Caller {
    /// Where the connection comes from.
    pub(super) ip: IpAddr,
    /// The host that the request is for, without its port; `None` if the request names none, or more than one.
    pub(super) host: Option<String>,
    /// Whether a browser sends it on behalf of a page of another site.
    pub(super) is_cross_site: bool,
    /// The user name and the password.
    pub(super) credentials: Option<Credentials>,
}

/// A user name and a password.
pub(super) struct Credentials {
    pub(super) user: String,
    pub(super) password: String,
    /// Whether they stand in the query, as `auser` and `apswd`. A browser repeats those of a header by itself, on behalf of any page.
    pub(super) are_explicit: bool,
}

impl Caller {
    pub(super) fn new(ip: IpAddr, uri: &Uri, headers: &HeaderMap, query: &Query) -> Self {
        let host = host_of(uri, headers);
        let is_cross_site = is_cross_site(headers, host.as_deref());
        let credentials = of_query(query).or_else(|| of_header(headers));
        Self {
            ip: ip.to_canonical(),
            host: host.map(|host| without_port(&host).to_owned()),
            is_cross_site,
            credentials,
        }
    }
}

/// The host and port that a request is for.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    let is_one = hosts.next().is_none() && uri.authority().is_none_or(|authority| authority.as_str() == host);
    is_one.then(|| host.to_ascii_lowercase())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        // `[::1]` has colons, and none behind its bracket.
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    }
}

/// Whether a page of another site has made the browser send the request (Fetch Metadata; the Origin of older browsers).
fn is_cross_site(headers: &HeaderMap, host: Option<&str>) -> bool {
    let one = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    if one("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let Some(origin) = one("origin") else { return false };
    let from = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    from.is_none() || from != host
}

fn of_query(query: &Query) -> Option<Credentials> {
    let user = query.get(&["auser"])?;
    let password = query.get(&["apswd"]).unwrap_or_default();
    Some(Credentials { user: cut(user), password: cut(password), are_explicit: true })
}

/// Basic authentication (RFC 7617).
fn of_header(headers: &HeaderMap) -> Option<Credentials> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, encoded) = value.split_once(' ')?;
    let bytes = decode_base64(encoded.trim()).filter(|_| scheme.eq_ignore_ascii_case("basic"))?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    Some(Credentials { user: cut(user), password: cut(password), are_explicit: false })
}

/// What is too long is no right name or password either way.
fn cut(text: &str) -> String {
    if text.len() <= MAX_CREDENTIAL { text.to_owned() } else { String::new() }
}

/// Base64 as RFC 4648 §4 has it, with or without padding.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let text = text.trim_end_matches('=').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    for group in text.chunks(4) {
        let mut bits = 0u32;
        for byte in group {
            let digit = match byte {
                b'A'..=b'Z' => byte - b'A',
                b'a'..=b'z' => byte - b'a' + 26,
                b'0'..=b'9' => byte - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(digit);
        }
        let whole = group.len() * 6 / 8;
        if whole == 0 {
            return None;
        }
        bits <<= 32 - group.len() * 6;
        bytes.extend_from_slice(&bits.to_be_bytes()[..whole]);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    fn caller(uri: &str, headers: &[(&str, &str)]) -> Caller {
        let uri: Uri = uri.parse().unwrap();
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let query = Query::parse(uri.query().unwrap_or_default());
        Caller::new("::ffff:192.0.2.1".parse().unwrap(), &uri, &map, &query)
    }

    #[test]
    fn the_host_is_named_once_and_has_no_port() {
        for (uri, hosts, expected) in [
            ("/", vec!["127.0.0.1:1111"], Some("127.0.0.1")),
            ("/", vec!["LocalHost"], Some("localhost")),
            ("/", vec!["[::1]:1111"], Some("[::1]")),
            ("/", vec!["[::1]"], Some("[::1]")),
            ("/", vec![":80"], Some(":80")),
            ("/", vec!["a:b"], Some("a:b")),
            ("/", vec![], None),
            ("/", vec!["a", "a"], None),
            ("http://a:1/", vec!["a:1"], Some("a")),
            ("http://b:1/", vec!["a:1"], None),
        ] {
            let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
            assert_eq!(caller(uri, &headers).host.as_deref(), expected, "{uri} {hosts:?}");
        }
        assert_eq!(caller("/", &[]).ip, IpAddr::from([192, 0, 2, 1]));
    }

    #[test]
    fn requests_that_pages_of_other_sites_send_are_known() {
        let host = ("host", "127.0.0.1:1111");
        for (header, expected) in [
            (("x", "y"), false),
            (("sec-fetch-site", "none"), false),
            (("sec-fetch-site", "same-origin"), false),
            (("sec-fetch-site", "same-site"), true),
            (("sec-fetch-site", "cross-site"), true),
            (("sec-fetch-site", "\u{ff}"), true),
            (("origin", "http://127.0.0.1:1111"), false),
            (("origin", "https://127.0.0.1:1111"), false),
            (("origin", "http://127.0.0.1"), true),
            (("origin", "http://evil.example"), true),
            (("origin", "null"), true),
        ] {
            assert_eq!(caller("/", &[host, header]).is_cross_site, expected, "{header:?}");
        }
        assert!(caller("/", &[("origin", "http://a")]).is_cross_site, "without a host");
    }

    #[test]
    fn credentials_stand_in_the_query_or_in_a_header() {
        let of = |uri: &str, headers: &[(&str, &str)]| {
            caller(uri, headers).credentials.map(|known| (known.user, known.password, known.are_explicit))
        };
        let right = |user: &str, password: &str, explicit| Some((user.to_owned(), password.to_owned(), explicit));
        let basic = ("authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(of("/?auser=a&apswd=b", &[basic]), right("a", "b", true));
        assert_eq!(of("/?auser=a", &[]), right("a", "", true));
        assert_eq!(of("/?apswd=b", &[]), None);
        assert_eq!(of("/", &[basic]), right("Aladdin", "open sesame", false));
        assert_eq!(of("/", &[("authorization", "bAsIc YTpiOmM=")]), right("a", "b:c", false));
        for wrong in ["Basic", "Basic !", "Basic YQ==", "Bearer YTpi", "Basic Y", "Basic /zpi"] {
            assert_eq!(of("/", &[("authorization", wrong)]), None, "{wrong}");
        }
        let long = "x".repeat(MAX_CREDENTIAL + 1);
        assert_eq!(of(&format!("/?auser={long}&apswd={long}"), &[]), right("", "", true));
    }

    proptest::proptest! {
        #[test]
        fn whatever_is_sent_is_read_without_a_panic(path in "[ -~]{0,200}", host in "[ -~]{0,80}", login in "[ -~]{0,80}", origin in "[ -~]{0,80}") {
            let mut headers = HeaderMap::new();
            for (name, value) in [("host", &host), ("authorization", &login), ("origin", &origin)] {
                headers.append(name, HeaderValue::from_str(value).unwrap());
            }
            let basic = format!("Basic {login}");
            headers.append("authorization", HeaderValue::from_str(&basic).unwrap());
            let query = Query::parse(&path);
            let uri = path.parse::<Uri>().unwrap_or_default();
            let caller = Caller::new([127, 0, 0, 1].into(), &uri, &headers, &query);
            proptest::prop_assert!(caller.credentials.is_none_or(|known| known.user.len() <= MAX_CREDENTIAL));
            decode_base64(&login);
        }
    }

    #[test]
    fn base64_gives_the_values_of_rfc_4648() {
        for (text, bytes) in
            [("", ""), ("Zg==", "f"), ("Zm8=", "fo"), ("Zm9v", "foo"), ("Zm9vYg", "foob"), ("Zm9vYmFy", "foobar")]
        {
            assert_eq!(decode_base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(decode_base64("+/+/"), Some(vec![0xfb, 0xff, 0xbf]));
    }
}
