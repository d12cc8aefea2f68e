//! The files of the page. All of them are text.

/// A file of the page.
pub(super) struct Asset {
    pub(super) name: &'static str,
    /// Its media type.
    pub(super) kind: &'static str,
    pub(super) text: &'static str,
}

macro_rules! asset {
    ($name:literal, $kind:expr) => {
        Asset { name: $name, kind: $kind, text: include_str!(concat!("assets/", $name)) }
    };
}

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const IMAGE: &str = "image/svg+xml";

/// The page, which stands at `/`.
pub(super) const PAGE: Asset = asset!("index.html", HTML);

/// What the page loads, each at `/page/NAME`.
pub(super) const FILES: &[Asset] = &[
    asset!("page.css", CSS),
    asset!("icon.svg", IMAGE),
    asset!("actions.js", SCRIPT),
    asset!("address.js", SCRIPT),
    asset!("api.js", SCRIPT),
    asset!("applications.js", SCRIPT),
    asset!("chart.js", SCRIPT),
    asset!("clients.js", SCRIPT),
    asset!("connection.js", SCRIPT),
    asset!("dialog.js", SCRIPT),
    asset!("dom.js", SCRIPT),
    asset!("feed.js", SCRIPT),
    asset!("format.js", SCRIPT),
    asset!("group.js", SCRIPT),
    asset!("groups.js", SCRIPT),
    asset!("introductions.js", SCRIPT),
    asset!("links.js", SCRIPT),
    asset!("live.js", SCRIPT),
    asset!("main.js", SCRIPT),
    asset!("notice.js", SCRIPT),
    asset!("overview.js", SCRIPT),
    asset!("pages.js", SCRIPT),
    asset!("rates.js", SCRIPT),
    asset!("rights.js", SCRIPT),
    asset!("ring.js", SCRIPT),
    asset!("scope.js", SCRIPT),
    asset!("search.js", SCRIPT),
    asset!("sentences.js", SCRIPT),
    asset!("server-state.js", SCRIPT),
    asset!("server.js", SCRIPT),
    asset!("story.js", SCRIPT),
    asset!("table.js", SCRIPT),
    asset!("tiles.js", SCRIPT),
];
