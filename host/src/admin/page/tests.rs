use std::collections::BTreeSet;
use std::path::Path;

use axum::http::Request;

use super::assets::{Asset, FILES, PAGE};
use super::*;
use crate::admin::testing::{LOGIN, Stage};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

fn all() -> impl Iterator<Item = &'static Asset> {
    FILES.iter().chain([&PAGE])
}

/// The texts between quotes that follow `before`.
fn quoted<'a>(text: &'a str, before: &str, quote: char) -> Vec<&'a str> {
    text.split(&format!("{before}{quote}")).skip(1).filter_map(|rest| rest.split(quote).next()).collect()
}

#[test]
fn every_file_of_the_folder_is_built_in() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/page/assets");
    let there: BTreeSet<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    let built_in: BTreeSet<String> = all().map(|asset| asset.name.to_owned()).collect();
    assert_eq!(built_in, there);
    assert_eq!(all().count(), there.len(), "each once");
}

#[test]
fn files_load_files_that_exist_and_every_file_is_loaded() {
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    for attribute in ["href=", "src="] {
        let own = quoted(PAGE.text, attribute, '"').into_iter().filter_map(|address| address.strip_prefix("/page/"));
        wanted.extend(own);
    }
    for asset in FILES {
        let lines = asset.text.lines().filter(|line| line.starts_with("import "));
        let imports = lines.flat_map(|line| quoted(line, "from ", '\''));
        wanted.extend(imports.map(|path| path.strip_prefix("./").expect("a file beside it")));
    }
    let files: BTreeSet<&str> = FILES.iter().map(|asset| asset.name).collect();
    assert_eq!(wanted, files);
}

/// What clients say must never become markup or code, and nothing is loaded from elsewhere.
#[test]
fn files_make_no_markup_of_texts_and_name_no_other_host() {
    for asset in all() {
        for forbidden in [
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
            "style=",
            "onclick=",
        ] {
            assert!(!asset.text.contains(forbidden), "{forbidden} in {}", asset.name);
        }
        let elsewhere = asset.text.replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("http:") && !elsewhere.contains("https:"), "an address in {}", asset.name);
        assert!(!elsewhere.contains("\"//") && !elsewhere.contains("'//"), "an address in {}", asset.name);
    }
}

#[tokio::test]
async fn a_browser_gets_the_page_and_a_program_the_list_of_paths() {
    let stage = Stage::new(|_| ());
    for (accept, is_page) in [
        (BROWSER.1, true),
        ("text/html", true),
        ("application/xml, text/html;q=0.1", true),
        ("*/*", false),
        ("text/htmlx", false),
        ("", false),
    ] {
        let answer = stage.send("127.0.0.1", Request::get("/").header("accept", accept)).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.text.starts_with("<!doctype html>"), is_page, "{accept}: {}", answer.text);
        assert_eq!(answer.text.contains("/admin/ping\n"), !is_page, "{accept}");
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert_eq!(policy == POLICY, is_page, "{policy}");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn files_have_their_type_and_the_policy_of_the_page() {
    let stage = Stage::new(|_| ());
    for asset in FILES {
        let answer = stage.get(&format!("/page/{}", asset.name)).await;
        assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, asset.text), "{}", asset.name);
        assert_eq!(answer.headers["content-type"], asset.kind);
        assert_eq!(answer.headers["content-security-policy"], POLICY);
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        let extension = asset.name.rsplit_once('.').unwrap().1;
        let expected = match extension {
            "js" => "text/javascript; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            _ => "image/svg+xml",
        };
        assert_eq!(asset.kind, expected, "{}", asset.name);
    }
    for none in
        ["/page/", "/page/none.js", "/page/index.html", "/page/../page.css", "/page/..%2fassets.rs", "/page/page.css/x"]
    {
        assert_eq!(stage.get(none).await.status.as_u16(), 404, "{none}");
    }
}

#[tokio::test]
async fn the_page_is_for_those_who_may_read() {
    let stage = Stage::with_login(|_| ());
    for path in ["/", "/page/main.js", "/page/none.js"] {
        let request = || Request::get(path).header(BROWSER.0, BROWSER.1);
        assert_eq!(stage.send("127.0.0.1", request()).await.status.as_u16(), 401, "{path}");
        let evil = stage.send("127.0.0.1", request().header("sec-fetch-site", "cross-site")).await;
        assert_eq!(evil.status.as_u16(), 403, "{path}");
        let foreign = stage.send("127.0.0.1", request().header("host", "evil.example")).await;
        assert_eq!(foreign.status.as_u16(), 421, "{path}");
    }
    let page = stage.send("127.0.0.1", Request::get(format!("/?{LOGIN}")).header(BROWSER.0, BROWSER.1)).await;
    assert_eq!(page.status.as_u16(), 200);
    let open = Stage::new(|_| ());
    let far = open.send("192.0.2.1", Request::get("/").header(BROWSER.0, BROWSER.1)).await;
    assert_eq!(far.status.as_u16(), 403);
}
