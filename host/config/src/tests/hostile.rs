//! Bytes that no one would write: the reader ends, within its bounds, and without a panic.

use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;

use super::Folder;
use crate::{PortList, xml};

/// Pieces of XML that make trouble more often than noise does.
fn soup() -> impl Strategy<Value = String> {
    let pieces = [
        "<",
        ">",
        "</",
        "/>",
        "<Root>",
        "</Root>",
        "<Server>",
        "</Server>",
        "<Workers>",
        "</Workers>",
        "<Plugin path='",
        "'",
        "\"",
        "=",
        "<!--",
        "-->",
        "<![CDATA[",
        "]]>",
        "<?xml version='1.0'?>",
        "<!DOCTYPE a [",
        "]>",
        "&amp;",
        "&#0;",
        "&#x10FFFF;",
        "&",
        ";",
        "${",
        "}",
        "${A}",
        "1",
        "-1",
        "\u{0}",
        "é",
        " ",
        "\n",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_xml_is_a_tree_or_a_problem_inside_the_text(text in soup()) {
        let file: Arc<Path> = Path::new("x.xml").into();
        if let Err(problem) = xml::parse(&file, &text) {
            let (line, _) = problem.place.position.unwrap();
            prop_assert!(line as usize <= text.matches('\n').count() + 1);
        }
    }

    #[test]
    fn any_list_of_ports_is_one_or_is_refused(text in "[0-9:;,\\[\\]. a-f-]{0,40}") {
        if let Ok(list) = PortList::parse(&text, (1935, 1935)) {
            // One that has ports for TLS alone has none to listen at.
            prop_assert!(list.count() > 0 || list.tls_ports().is_some());
            let again = if list.count() > 0 { PortList::parse(&list.to_string(), (1, 1)).unwrap() } else { list.clone() };
            prop_assert_eq!(again.iter().collect::<Vec<_>>(), list.iter().collect::<Vec<_>>());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_files_load_or_are_refused(server in soup(), ini in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = Folder::new().with("introd.ini", ini).with("Server.xml", &server);
        let problems = folder.problems();
        prop_assert!(problems.lines().count() <= 201);
    }
}

#[test]
fn thousands_of_mistakes_are_told_by_the_first() {
    let folder = Folder::new().with("Server.xml", format!("<Root>{}</Root>", "<Mistake/>".repeat(10_000)));
    let problems = folder.problems();
    assert_eq!(problems.lines().count(), 200);
    assert!(problems.ends_with(": error: more problems follow\n"));
}

#[test]
fn a_line_of_a_megabyte_is_read_in_one_pass() {
    let elements = "<Config a='1'/>".repeat(19_000);
    let text =
        format!("<Application><Plugins><Plugin path='p'><Config>{elements}</Config></Plugin></Plugins></Application>");
    let folder = Folder::new().with("_defaultRoot_/_defaultVHost_/Application.xml", text);
    let loaded = folder.load().unwrap();
    let plugins = &loaded.config.default_adaptor.default_vhost.defaults.plugins;
    assert_eq!(plugins[0].config.children.len(), 19_000);
}
