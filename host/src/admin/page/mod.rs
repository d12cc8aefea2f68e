//! The page: files that are built into the program, and how they are answered.
//!
//! It is plain HTML, CSS and JavaScript modules, which browsers run as they stand. They ask `/api/v1` of the server that they come from, and
//! nothing else: [`POLICY`] forbids all other addresses, and code that is no file of the page.

mod assets;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use assets::Asset;

/// What a browser lets the page do (Content Security Policy).
pub(super) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
     frame-ancestors 'none'; form-action 'self'; base-uri 'none'";

/// Whether the caller is one that shows pages: programs get the list of paths instead.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    accepts.split(',').any(|range| range.split(';').next().is_some_and(|kind| kind.trim() == "text/html"))
}

/// The page itself.
pub(super) fn page() -> Response {
    answer(&assets::PAGE)
}

/// A file of the page by its name; `None` if there is none.
pub(super) fn file(name: &str) -> Option<Response> {
    assets::FILES.iter().find(|asset| asset.name == name).map(answer)
}

fn answer(asset: &Asset) -> Response {
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CONTENT_SECURITY_POLICY, POLICY)];
    (StatusCode::OK, headers, asset.text).into_response()
}

#[cfg(test)]
mod tests;
