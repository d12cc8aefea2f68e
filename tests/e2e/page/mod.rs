//! The page of the administration, in a real browser.

mod accessible;
mod acting;
mod draining;
mod groups;
mod hostile_names;
mod long_lists;
mod lost;
mod meeting;
mod refusals;
mod registry;
mod relayed;

use std::net::SocketAddr;
use std::sync::Arc;

use crate::harness::browser::{Browser, meanwhile};

/// A browser that shows a view of the page, which is up to date.
async fn browser_at(admin: SocketAddr, view: &'static str) -> Arc<Browser> {
    let browser = Browser::started().await;
    let own = Arc::clone(&browser);
    meanwhile(move || {
        own.open(admin, view);
        own.wait_for_text("#connection", "Live");
    })
    .await;
    browser
}
