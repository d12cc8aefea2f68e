//! The wire types against recorded traffic of other implementations (`vectors/*.json`): every packet is taken apart into its
//! header and chunks, every chunk understood, and written again.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use rtmfp::crypto::{Certificate, Epd};
use rtmfp::wire::chunk::{Ack, Redirect, UserDataOptions, kind};
use rtmfp::wire::packet::{self, PacketHeader};
use rtmfp::wire::{Chunk, Mode};
use serde_json::Value;

fn files() -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())).collect()
}

/// Writes what `chunk` says; `None` for one that has no value of its own.
fn write(chunk: &Chunk<'_>) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let is_written = match chunk {
        Chunk::PacketFragment(chunk) => chunk.put(&mut out),
        Chunk::IHello(chunk) => chunk.put(&mut out),
        Chunk::ForwardedIHello(chunk) => chunk.put(&mut out),
        Chunk::RHello(chunk) => chunk.put(&mut out),
        Chunk::Redirect(chunk) => Redirect::put(chunk.tag_echo, &chunk.destinations().collect::<Vec<_>>(), &mut out),
        Chunk::CookieChange(chunk) => chunk.put(&mut out),
        Chunk::IIKeying(chunk) => chunk.put(&mut out),
        Chunk::RIKeying(chunk) => chunk.put(&mut out),
        Chunk::Ping(message) => packet::put_chunk(kind::PING, &mut out, |out| out.extend_from_slice(message)),
        Chunk::PingReply(message) => {
            packet::put_chunk(kind::PING_REPLY, &mut out, |out| out.extend_from_slice(message))
        }
        Chunk::UserData(chunk) => chunk.put(&mut out),
        Chunk::NextUserData(chunk) => chunk.put(&mut out),
        Chunk::Ack(ack) => Ack::put(ack.flow_id, ack.buffer_blocks, ack.cumulative, ack.ranges(), &mut out),
        Chunk::BufferProbe(chunk) => chunk.put(&mut out),
        Chunk::FlowException(chunk) => chunk.put(&mut out),
        Chunk::Close => packet::put_chunk(kind::CLOSE, &mut out, |_| ()),
        Chunk::CloseAck => packet::put_chunk(kind::CLOSE_ACK, &mut out, |_| ()),
        Chunk::Unknown(_) => return None,
    };
    assert!(is_written);
    Some(out)
}

/// What the parts of a chunk that are themselves encoded say.
fn look_inside(chunk: &Chunk<'_>) {
    match chunk {
        Chunk::IHello(hello) => {
            Epd::parse(hello.epd).unwrap();
        }
        Chunk::ForwardedIHello(hello) => assert!(Epd::parse(hello.epd).unwrap().fingerprint.is_some()),
        Chunk::RHello(hello) => {
            Certificate::parse(hello.certificate).unwrap();
        }
        Chunk::IIKeying(keying) => {
            Certificate::parse(keying.certificate).unwrap();
            assert_eq!(&keying.signature, b"X");
        }
        Chunk::UserData(data) => {
            if let Some(options) = data.fragment.options {
                let options = UserDataOptions::parse(options).unwrap();
                assert!(options.metadata.is_some() && options.unsupported.is_none());
            }
        }
        _ => (),
    }
}

#[test]
fn every_packet_is_understood_and_written_again() {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    let (mut packets, mut chunks_written) = (0, 0);
    for (file, recording) in files() {
        for recorded in recording["packets"].as_array().unwrap() {
            let context = format!("{file} packet {}", recorded["n"]);
            let plain = hex::decode(recorded["plain_hex"].as_str().unwrap()).unwrap();
            let mut rest = &plain[..];
            let header = PacketHeader::take(&mut rest).expect(&context);
            assert_eq!(header.timestamp.map(u64::from), recorded["timestamp"].as_u64(), "{context}");
            assert_eq!(header.timestamp_echo.map(u64::from), recorded["timestamp_echo"].as_u64(), "{context}");
            assert_eq!(header.mode == Mode::Startup, recorded["key"] == "default", "{context}");
            let mut again = Vec::new();
            header.put(&mut again);
            assert_eq!(u64::from(again[0]), recorded["flags"].as_u64().unwrap(), "{context}");

            let mut iteration = packet::chunks(rest);
            let expected = recorded["chunks"].as_array().unwrap();
            for expected in expected {
                let raw = iteration.next().expect(&context);
                assert_eq!(u64::from(raw.kind), expected["type"].as_u64().unwrap(), "{context}");
                assert_eq!(hex::encode(raw.payload), expected["payload_hex"].as_str().unwrap(), "{context}");
                let chunk = Chunk::parse(raw).expect(&context);
                look_inside(&chunk);
                *counts.entry(expected["name"].as_str().unwrap().to_owned()).or_default() += 1;
                match write(&chunk) {
                    // The form of an acknowledgement, and how far it goes, are the sender's choice: its content is compared.
                    Some(bytes) if raw.kind == kind::ACK_BITMAP || raw.kind == kind::ACK_RANGES => {
                        let Chunk::Ack(read) = chunk else { panic!("{context}") };
                        let Some(Chunk::Ack(written)) =
                            packet::chunks(&bytes).next().map(|raw| Chunk::parse(raw).unwrap())
                        else {
                            panic!("{context}")
                        };
                        assert_eq!(
                            (written.flow_id, written.buffer_blocks, written.cumulative),
                            (read.flow_id, read.buffer_blocks, read.cumulative)
                        );
                        assert!(written.ranges().eq(read.ranges()), "{context}");
                        again.extend_from_slice(&[&[raw.kind][..], &(raw.payload.len() as u16).to_be_bytes()].concat());
                        again.extend_from_slice(raw.payload);
                    }
                    Some(bytes) => {
                        chunks_written += 1;
                        again.extend_from_slice(&bytes);
                    }
                    // A chunk type that RFC 7016 does not know stays as it is.
                    None => {
                        again.extend_from_slice(&[&[raw.kind][..], &(raw.payload.len() as u16).to_be_bytes()].concat());
                        again.extend_from_slice(raw.payload);
                    }
                }
            }
            assert!(iteration.next().is_none(), "{context}");
            assert_eq!(iteration.remainder().len() as u64, recorded["padding_len"].as_u64().unwrap(), "{context}");
            assert_eq!(again, plain[..plain.len() - iteration.remainder().len()], "{context}");
            packets += 1;
        }
    }
    println!("{packets} packets, {chunks_written} chunks written again: {counts:?}");
    assert_eq!(packets, 452);
    for name in ["IHello", "RHello", "IIKeying", "RIKeying", "UserData", "NextUserData", "Redirect", "FIHello"] {
        assert!(counts.get(name).is_some_and(|count| *count > 0), "{name} is in no recording: {counts:?}");
    }
}
