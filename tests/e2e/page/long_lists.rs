//! A list of 50,000 clients is shown in parts.

use introd_tests::program::{Files, Server};

use crate::harness::browser::{Browser, meanwhile};

/// Answers for the server as one with 50,000 clients does: in pages.
const MADE_UP: &str = "{
    const asked = window.fetch;
    const TOTAL = 50000;
    window.rowsSent = 0;
    window.fetch = (url, options) => {
        const { pathname, searchParams } = new URL(url);
        if (pathname !== '/api/v1/clients') return asked(url, options);
        const first = Number(searchParams.get('after') ?? 0);
        const limit = Number(searchParams.get('limit'));
        const clients = Array.from({ length: Math.min(limit, TOTAL - first) }, (_, place) => ({
            peer: (first + place).toString(16).padStart(64, '0'),
            address: `192.0.2.1:${first + place}`,
            application: 'app', instance: 'room', is_proven: true, connected: '2026-01-02T03:04:05.678Z',
        }));
        window.rowsSent = Math.max(window.rowsSent, clients.length);
        const next = first + clients.length < TOTAL ? String(first + clients.length) : null;
        return Promise.resolve(new Response(JSON.stringify({ clients, next })));
    };
}";

#[tokio::test]
async fn a_list_of_50_000_clients_is_never_in_the_page_as_a_whole() {
    let files = Files::new();
    let server = Server::administered(files.path(), 1);
    let admin = server.admin[0];
    meanwhile(move || {
        let browser = Browser::start();
        browser.before_the_page(MADE_UP);
        browser.open(admin, "#/clients");
        browser.wait_for_text(".pages [role=status]", "Rows 1 to 100");
        assert!(browser.value("document.querySelector('.pages button').disabled").as_bool().unwrap(), "no page before the first");
        for (label, rows) in [("Next", "Rows 101 to 200"), ("Next", "Rows 201 to 300"), ("Previous", "Rows 101 to 200")] {
            browser.press(".pages button", label);
            browser.wait_for_text(".pages [role=status]", rows);
        }
        browser.wait_for_text("main tbody td", "192.0.2.1:100");
        assert_eq!(browser.count("main tbody tr"), 100);
        assert_eq!(browser.value("window.rowsSent"), 100, "and never asked for as a whole");
        // The rows stay the same elements when the list is read again, so that nobody loses the place.
        browser.value("(window.row = document.querySelector('main tbody tr'), window.row.querySelector('a').focus())");
        browser.value("(window.rowsSent = 0)");
        browser.wait("window.rowsSent === 100");
        browser.wait("document.activeElement.closest('tr') === window.row && document.querySelector('main tbody tr') === window.row");
        assert_eq!(browser.complaints(), Vec::<String>::new());
    })
    .await;
}
