//! Which paths there are, and which of them reads or acts.

use axum::http::Method;

use crate::admin::query::decode;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::admin) enum Endpoint {
    Server,
    Counters,
    Applications,
    Clients,
    Client,
    Groups,
    Group,
    Peer,
    Events,
    Introductions,
    Lookups,
    Plugins,
    Scripts,
    Registry,
    Relay,
    LogLevel,
    Disconnect,
    Reload,
    Unload,
    Broadcast,
    Drain,
    CancelDrain,
    SetLogLevel,
    OpenApi,
    Stream,
}

/// A method, a path below [`ROOT`], and what it means. A part in braces stands for any one part.
pub(in crate::admin) type Route = (Method, &'static str, Endpoint);

/// Where the API begins.
pub(in crate::admin) const ROOT: &str = "/api/v1";

/// All that is answered.
pub(in crate::admin) const ROUTES: [Route; 25] = [
    (Method::GET, "/server", Endpoint::Server),
    (Method::GET, "/counters", Endpoint::Counters),
    (Method::GET, "/applications", Endpoint::Applications),
    (Method::GET, "/clients", Endpoint::Clients),
    (Method::GET, "/clients/{peer}", Endpoint::Client),
    (Method::GET, "/groups", Endpoint::Groups),
    (Method::GET, "/groups/{group}", Endpoint::Group),
    (Method::GET, "/peers/{peer}", Endpoint::Peer),
    (Method::GET, "/events", Endpoint::Events),
    (Method::GET, "/introductions", Endpoint::Introductions),
    (Method::GET, "/lookups", Endpoint::Lookups),
    (Method::GET, "/plugins", Endpoint::Plugins),
    (Method::GET, "/scripts", Endpoint::Scripts),
    (Method::GET, "/registry", Endpoint::Registry),
    (Method::GET, "/relay", Endpoint::Relay),
    (Method::GET, "/log-level", Endpoint::LogLevel),
    (Method::GET, "/stream", Endpoint::Stream),
    (Method::GET, "/openapi.json", Endpoint::OpenApi),
    (Method::POST, "/log-level", Endpoint::SetLogLevel),
    (Method::POST, "/clients/{peer}/disconnect", Endpoint::Disconnect),
    (Method::POST, "/applications/{application}/reload", Endpoint::Reload),
    (Method::POST, "/applications/{application}/unload", Endpoint::Unload),
    (Method::POST, "/broadcast", Endpoint::Broadcast),
    (Method::POST, "/drain", Endpoint::Drain),
    (Method::POST, "/drain/cancel", Endpoint::CancelDrain),
];

/// What a request asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// That, of what the part in braces names; the name is empty where there are no braces.
    Endpoint(Endpoint, String),
    /// The path exists for these methods only.
    OtherMethods(String),
    Nothing,
}

/// Finds what a request asks for.
pub(super) fn find(method: &Method, path: &str) -> Found {
    let Some(path) = path.strip_prefix(ROOT) else { return Found::Nothing };
    let matching =
        ROUTES.iter().filter_map(|(known, pattern, endpoint)| Some((known, matches(pattern, path)?, endpoint)));
    let mut methods: Vec<&str> = Vec::new();
    for (known, name, endpoint) in matching {
        // What may be read may be asked for without its body.
        if known == method || known == Method::GET && method == Method::HEAD {
            return Found::Endpoint(*endpoint, name);
        }
        methods.push(known.as_str());
        if known == Method::GET {
            methods.push("HEAD");
        }
    }
    if methods.is_empty() { Found::Nothing } else { Found::OtherMethods(methods.join(", ")) }
}

/// What stands for the part in braces, if a path has that pattern. A name is not empty, and is decoded after the path is taken apart:
/// whatever it contains is a name, and no path.
fn matches(pattern: &str, path: &str) -> Option<String> {
    let mut name = String::new();
    let (mut expected, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (expected.next(), parts.next()) {
            (None, None) => return Some(name),
            (Some(expected), Some(part)) if expected.starts_with('{') => {
                // Other than in a query, `+` means itself in a path.
                name = decode(&part.replace('+', "%2B")).filter(|name| !name.is_empty())?;
            }
            (Some(expected), Some(part)) if expected == part => (),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_route_is_found_by_its_method_alone() {
        for (method, pattern, endpoint) in ROUTES {
            let (path, name) = (format!("{ROOT}{}", pattern.replace("{peer}", "x")), String::new());
            let path = path.replace("{group}", "x").replace("{application}", "x");
            let name = if pattern.contains('{') { "x".to_owned() } else { name };
            assert_eq!(find(&method, &path), Found::Endpoint(endpoint, name.clone()));
            if method == Method::GET {
                assert_eq!(find(&Method::HEAD, &path), Found::Endpoint(endpoint, name));
            }
            assert!(matches!(find(&Method::DELETE, &path), Found::OtherMethods(_)), "{path}");
        }
    }

    #[test]
    fn names_are_decoded_once_and_are_never_paths() {
        let client = |name: &str| Found::Endpoint(Endpoint::Client, name.to_owned());
        for (path, expected) in [
            ("/clients/a%2Fb", client("a/b")),
            ("/clients/..%2f..%2fetc%2fpasswd", client("../../etc/passwd")),
            ("/clients/%252e", client("%2e")),
            ("/clients/a+b", client("a+b")),
            ("/clients/a%20b", client("a b")),
            ("/clients/", Found::Nothing),
            ("/clients/a/", Found::Nothing),
            ("/clients//a", Found::Nothing),
            ("/clients/%", Found::Nothing),
            ("/clients/%ff", Found::Nothing),
            ("/../server", Found::Nothing),
            ("/server/", Found::Nothing),
            ("/Server", Found::Nothing),
            ("", Found::Nothing),
            ("/", Found::Nothing),
        ] {
            assert_eq!(find(&Method::GET, &format!("{ROOT}{path}")), expected, "{path}");
        }
        assert_eq!(find(&Method::GET, "/api/v2/server"), Found::Nothing);
        assert_eq!(find(&Method::PUT, "/api/v1/server"), Found::OtherMethods("GET, HEAD".to_owned()));
    }
}
