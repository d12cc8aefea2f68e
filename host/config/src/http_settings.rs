//! The HTTP requests of scripts, as Application.xml permits them.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::http_hosts::HttpHosts;
use super::keys::application as keys;
use super::view::View;

/// Where one instance's script may send HTTP requests to, and the limits on these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpSettings {
    /// The hosts that it may send requests to.
    pub allow: HttpHosts,
    /// Certificates of authorities, in PEM, that are trusted besides those that the machine trusts.
    pub ca_file: Option<PathBuf>,
    /// How long a request may take in all.
    pub timeout: Duration,
    /// The most bytes of the body of an answer.
    pub max_response_bytes: usize,
    /// The most bytes of the URL, the headers and the body of a request together.
    pub max_request_bytes: usize,
    /// The most bytes of the status line and the headers of an answer.
    pub max_header_bytes: usize,
    /// How many redirects of a request are followed.
    pub max_redirects: usize,
    /// How many requests may be under way at a time.
    pub max_requests: usize,
    /// How many further requests may wait for their turn.
    pub max_queued_requests: usize,
}

impl Default for HttpSettings {
    /// As Application.xml has them by default: no request is permitted.
    fn default() -> Self {
        Self {
            allow: HttpHosts::default(),
            ca_file: None,
            timeout: Duration::from_secs(10),
            max_response_bytes: 1 << 20,
            max_request_bytes: 1 << 20,
            max_header_bytes: 32_768,
            max_redirects: 5,
            max_requests: 16,
            max_queued_requests: 1024,
        }
    }
}

impl HttpSettings {
    pub(super) fn read(view: &View<'_, keys::ApplicationXml>, root: &Path) -> Self {
        Self {
            allow: view.read(&keys::HTTP_ALLOW),
            ca_file: view.read(&keys::HTTP_CA_FILE).map(|path| root.join(path)),
            timeout: view.read(&keys::HTTP_TIMEOUT),
            max_response_bytes: view.read(&keys::HTTP_MAX_RESPONSE),
            max_request_bytes: view.read(&keys::HTTP_MAX_REQUEST),
            max_header_bytes: view.read(&keys::HTTP_MAX_HEADER),
            max_redirects: view.read(&keys::HTTP_MAX_REDIRECTS),
            max_requests: view.read(&keys::HTTP_MAX_REQUESTS),
            max_queued_requests: view.read(&keys::HTTP_MAX_QUEUED),
        }
    }
}
