//! Writes first inputs for the fuzz targets into `tests/fuzz/corpus`: from recorded traffic where a target takes what goes over
//! the wire, and from the shipped configuration.
//!
//! `cargo run -p introd-tests --example fuzz_seeds`

#![allow(clippy::unwrap_used, reason = "run by hand")]

use std::path::{Path, PathBuf};

use rtmfp::wire::Chunk;
use rtmfp::wire::packet::{self, PacketHeader};
use serde_json::Value;

struct Seeds {
    corpus: PathBuf,
    count: usize,
}

impl Seeds {
    fn add(&mut self, target: &str, parts: &[&[u8]]) {
        let folder = self.corpus.join(target);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(format!("seed-{:03}", self.count)), parts.concat()).unwrap();
        self.count += 1;
    }
}

fn main() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut seeds = Seeds { corpus: tests.join("fuzz/corpus"), count: 0 };
    for name in ["librtmfp-connect", "librtmfp-netgroup", "rtmfp-cpp-connect", "rtmfp-cpp-introduction-ephemeral"] {
        let text = std::fs::read_to_string(tests.join("vectors").join(name).with_extension("json")).unwrap();
        let recording: Value = serde_json::from_str(&text).unwrap();
        for recorded in recording["packets"].as_array().unwrap().iter().take(60) {
            packet(&mut seeds, &bytes(&recorded["plain_hex"]));
        }
        for message in recording["messages"].as_array().unwrap().iter().take(24) {
            message_seed(&mut seeds, &bytes(&message["metadata_hex"]), &bytes(&message["message_hex"]));
        }
    }
    configuration(&mut seeds, &tests.join("../conf"));
    scenarios(&mut seeds);
    barriers(&mut seeds);
    requests(&mut seeds);
    announcements(&mut seeds);
    println!("{} seeds", seeds.count);
}

fn bytes(hex: &Value) -> Vec<u8> {
    hex::decode(hex.as_str().unwrap()).unwrap()
}

fn packet(seeds: &mut Seeds, plain: &[u8]) {
    seeds.add("wire", &[&[0], plain]);
    let mut rest = plain;
    PacketHeader::take(&mut rest).unwrap();
    for chunk in packet::chunks(rest).filter_map(|raw| Chunk::parse(raw).ok()) {
        let length = |of: &[u8]| (of.len() as u16).to_be_bytes();
        match chunk {
            Chunk::IIKeying(keying) => {
                let parts = [&length(keying.certificate)[..], keying.certificate, &[0, 0x77], keying.component];
                seeds.add("certificate", &parts);
            }
            Chunk::IHello(hello) => seeds.add("certificate", &[&[0, 0, hello.epd.len() as u8], hello.epd, &[0]]),
            Chunk::RHello(hello) => seeds.add("certificate", &[&length(hello.certificate), hello.certificate, &[0, 0]]),
            _ => (),
        }
    }
}

fn message_seed(seeds: &mut Seeds, metadata: &[u8], message: &[u8]) {
    let length = (message.len() as u16).to_be_bytes();
    seeds.add("amf", &[&[2], message]);
    if let [20, _, _, _, _, values @ ..] = message {
        seeds.add("amf", &[&[0], values]);
    }
    seeds.add("amf", &[&[3], metadata]);
    // A flow with this metadata, then the message on it.
    let metadata_len = [metadata.len() as u8];
    let flow = [&[0, 3, 3], &metadata_len[..], metadata, &[1, 1]].concat();
    seeds.add("connection", &[&[1, 1], &flow, &[2, 3], &length, message, &[2, 1], &length, message]);
}

fn configuration(seeds: &mut Seeds, conf: &Path) {
    let files = [
        "Server.xml",
        "Users.xml",
        "introd.ini",
        "_defaultRoot_/Adaptor.xml",
        "_defaultRoot_/_defaultVHost_/Vhost.xml",
        "_defaultRoot_/_defaultVHost_/Application.xml",
    ];
    for (choice, file) in files.into_iter().enumerate() {
        let text = std::fs::read_to_string(conf.join(file)).unwrap();
        // Comments teach a fuzzer nothing.
        let mut short = String::new();
        let mut rest = &text[..];
        while let Some((before, after)) = rest.split_once("<!--") {
            short.push_str(before);
            rest = after.split_once("-->").map_or("", |(_, after)| after);
        }
        short.push_str(rest);
        let short: Vec<&str> = short.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        seeds.add("config", &[&[choice as u8], short.join("\n").as_bytes()]);
    }
}

/// Requests to the administration: see `fuzzing::administration`.
fn requests(seeds: &mut Seeds) {
    let id = "5a".repeat(32);
    let (get, post, login) = (0, 1, 8);
    for (first, second, path, headers, body) in [
        (get, 0, "", "", ""),
        (get, 0, "healthz", "", ""),
        (get, 0, "metrics", "Accept: application/openmetrics-text", ""),
        (get | login, 1, "server", "", ""),
        (get | login, 1, "counters", "Origin: http://evil.example", ""),
        (get | login, 1, "applications?limit=5&after=00", "", ""),
        (get | login, 1, "scripts", "Sec-Fetch-Site: cross-site", ""),
        (get | login, 1, "plugins", "", ""),
        (get | login, 1, "registry", "", ""),
        (get | login, 1, "log-level", "", ""),
        (get | login, 1, "stream", "", ""),
        (get | login, 1, "openapi.json", "", ""),
        (get | login, 3, "limit=3&application=a&address=192.0.2.1:5&peer=5a", "", ""),
        (get | login, 2, &id, "", ""),
        (get | login, 4, &id, "", ""),
        (get, 1, "server?auser=admin&apswd=Tr0ub4dor", "", ""),
        (get | login, 6, "getServerStats", "", ""),
        (get, 6, "getInstanceStats?appInst=app%2F_definst_&auser=admin&apswd=x", "", ""),
        (get, 7, "userid=0:00000001", "Cookie: a=b", ""),
        (post | login, 2, &format!("{id}/disconnect"), "", "{\"reason\": \"x\"}"),
        (post | login, 5, "app/unload", "", "{\"instance\": \"room\"}"),
        (post | login, 5, "app/reload", "", "{}"),
        (post | login, 1, "broadcast", "", "{\"method\": \"say\", \"arguments\": [\"x\", 1, true, null]}"),
        (post | login, 1, "log-level", "", "{\"level\": \"debug\"}"),
        (post, 1, "log-level", "Content-Type: text/plain", "{\"level\": \"debug\"}"),
        (post | login, 1, "log-level", "Transfer-Encoding: chunked\nContent-Length: 5", ""),
    ] {
        let parts = [path, headers, body].map(str::as_bytes);
        seeds.add("administration", &[&[first, second], &parts.join(&1)]);
    }
    for raw in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /api/v1/log-level HTTP/1.1\r\nContent-Length: 9\r\n\r\n{",
        "\x16\x03\x01",
    ] {
        seeds.add("administration", &[&[0, 0x80], raw.as_bytes()]);
    }
}

/// What comes to a group's multicast address: see `fuzzing::announcements`.
fn announcements(seeds: &mut Seeds) {
    // From a source, sent now, by a peer, at a port.
    let said = |kind: u8, source: u8, peer: u8| [kind, source, 0, 0, peer, 1];
    let wait = [0, 0xe0, 0x10, 0];
    let later = [1, 1, 31];
    let v6 = said(0x14, 1, 2);
    seeds
        .add("announcements", &[&said(4, 1, 1), &said(4, 1, 1), &later, &said(4, 1, 1), &v6, &wait, &said(0x24, 1, 3)]);
    seeds
        .add("announcements", &[&said(12, 1, 1), &[60, 3], &said(13, 1, 1), &[2, 1], &said(14, 1, 1), &said(15, 1, 1)]);
    seeds.add("announcements", &[&[2, 0, 5], b"other", &said(3, 0, 1), &[74], &[7; 74], &[2, 0, 0], &said(0x34, 0, 1)]);
    let past = [4, 1, 1, 0xf0, 0, 2, 0, 0, 1, 1];
    let future = [4, 1, 0, 0xf0, 0, 2, 0, 0, 1, 1];
    seeds.add(
        "announcements",
        &[&past, &future, &[1, 0, 0xfc, 0], &said(4, 1, 1), &[4, 1, 0, 0, 0, 1], &[4, 1, 0, 0, 1, 0]],
    );
    seeds.add("announcements", &[&(0..200).flat_map(|number| said(4, number % 4, number % 8)).collect::<Vec<u8>>()]);
    let spec = "G:027f02010c00086300e00000fe7530";
    seeds.add("announcements", &[spec.as_bytes()]);
}

/// Messages on flows 0 to 3, and barriers that they come to: see `fuzzing::barriers`.
fn barriers(seeds: &mut Seeds) {
    let media = |flow: u8| [flow << 4];
    let long = |flow: u8| [flow << 4 | 7];
    let sync = |flow: u8, sync: u8, count: u8| [flow << 4 | 8, sync, count];
    // The example of RFC 7425 §5.2, the first flow before the second and then the other way round.
    let first = [&media(0)[..], &media(0), &media(0), &sync(0, 2, 2), &sync(0, 3, 2), &media(0)].concat();
    let second = [&media(1)[..], &sync(1, 2, 2), &media(1), &sync(1, 3, 2), &media(1)].concat();
    seeds.add("barriers", &[&first, &second]);
    seeds.add("barriers", &[&second, &first]);
    let three = [&sync(0, 1, 3)[..], &sync(1, 1, 3), &media(1), &media(0), &media(2), &sync(2, 1, 3)].concat();
    seeds.add("barriers", &[&three, &three]);
    // Given up, and come to late.
    seeds.add("barriers", &[&sync(0, 1, 3), &media(0), &sync(0, 2, 3), &media(0), &[15, 0], &sync(1, 1, 3), &media(1)]);
    seeds.add("barriers", &[&sync(0, 1, 3), &media(0).repeat(1100), &sync(1, 1, 3), &media(1)]);
    seeds.add("barriers", &[&sync(0, 1, 3), &long(0).repeat(20), &sync(1, 1, 3), &media(1)]);
    let apart: Vec<u8> = (0..20).flat_map(|sync| [0x80 | 9, sync + 1, sync, 2, (sync % 4) << 4]).collect();
    seeds.add("barriers", &[&apart]);
    let many: Vec<u8> = (0..70).flat_map(|flow| [0x80 | 14, 0xe0, 0, flow, 1, 0x60 + flow % 30]).collect();
    seeds.add("barriers", &[&many, &media(0)]);
}

/// What may happen to an endpoint: settings, whether a session is opened with what component, then each kind of thing.
fn scenarios(seeds: &mut Seeds) {
    let open = [1, 0x3f];
    let tag = [4, b't', b'a', b'g', b'1'];
    let hello = [&[1, 0, 0, 1, 1, 0, 0][..], &tag, &[1]].concat();
    let user_data = [5, 0, 1, 0, 0, 0, 0, 2, 1, 1, 3, 0, 1, 5, b'h', b'e', b'l', b'l', b'o'];
    let wait = [10, 0xa0];
    let open_flow = [15, 0x40, 0, 0, 0, 0, 0, 4, b'T', b'C', 4, 0];
    let send = [15, 0x40, 0, 0, 3, 0xff, 0xff, 0, 1, 0x20, 0];
    let acknowledge = [5, 0, 1, 0, 0, 6, 1, 31, 3, 1, 0, 1];
    let replay = [12, 3, 0x80, 0];
    let initiate = [14, 0, 3, 1, 0, 1];
    let lookup = [&[1, 0, 0, 1, 1, 0, 1][..], &tag, &[1]].concat();
    let (redirect, forward) = ([14, 0, 0], [14, 0, 1, 0]);
    let responder_hello = [&[1, 0, 0, 1, 1, 2, 1][..], &[3, b'c', b'k', b'e', 0, 1]].concat();
    let responder_keying = [1, 0, 5, 1, 1, 6, 1, 0x3f, 9, 1];
    let keying = [1, 1, 0, 1, 1, 5, 0, 0, 7, 1, 0x3f, 1];
    for settings in [0u8, 1, 5, 8, 13, 16, 0x1f] {
        let begin = [&[settings][..], &open].concat();
        seeds.add("endpoint", &[&begin, &user_data, &wait, &open_flow, &send, &acknowledge, &wait, &replay]);
        seeds.add("endpoint", &[&[settings, 0], &hello, &keying, &wait, &user_data]);
        seeds.add("endpoint", &[&[settings, 0], &initiate, &responder_hello, &responder_keying, &user_data, &wait]);
        seeds.add("endpoint", &[&begin, &open_flow, &send, &send, &[10, 0xff], &acknowledge, &[13, 3, 1, 2, 3], &wait]);
        seeds.add("endpoint", &[&begin, &lookup, &redirect, &forward, &hello, &wait]);
    }
}
