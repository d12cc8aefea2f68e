//! The file: JSON with one session, packet or message a line.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io::{self, BufWriter, Write};
use std::net::SocketAddr;

use rtmfp::wire::chunk::kind;
use serde::Serialize;

use super::messages::{Assembler, Message};
use super::opening::{Keyring, OpenedPacket, open_startup};
use super::recording::{Captured, Recording};
use super::session::{EndRecord, Role, Session, Sessions};

/// What became of a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Datagrams in the file.
    pub packets: usize,
    /// Datagrams left out because none of the recorded keys opens them.
    pub unopened: usize,
    /// Datagrams left out because they are the same packet as an earlier one, which the network delivered twice.
    pub repeated: usize,
    /// Datagrams and sessions left out because the recording was full.
    pub over_limit: usize,
    /// Sessions in the file.
    pub sessions: usize,
    /// Messages put together.
    pub messages: usize,
}

#[derive(Serialize)]
struct SessionRow {
    initiator_addr: SocketAddr,
    responder_addr: SocketAddr,
    initiator_session_id: String,
    responder_session_id: String,
    dh_group: u64,
    dh_secret_hex: String,
    initiator_certificate_hex: String,
    responder_certificate_hex: String,
    initiator_fingerprint_hex: String,
    responder_fingerprint_hex: String,
    initiator_component_hex: String,
    responder_component_hex: String,
    ends_logged: u8,
    initiator_dh_private_hex: Option<String>,
    responder_dh_private_hex: Option<String>,
    initiator_encrypt_key_hex: String,
    responder_encrypt_key_hex: String,
    initiator_encrypt_key_full_hex: String,
    responder_encrypt_key_full_hex: String,
    initiator_hmac_key_hex: String,
    responder_hmac_key_hex: String,
    hmac_length_initiator: u8,
    hmac_length_responder: u8,
    sseq_initiator: bool,
    sseq_responder: bool,
    nonces: Nonces,
}

#[derive(Serialize)]
struct Nonces {
    initiator_near_hex: String,
    responder_near_hex: String,
}

#[derive(Serialize)]
struct PacketRow {
    n: usize,
    time_ms: f64,
    from: SocketAddr,
    to: SocketAddr,
    session_id: String,
    key: String,
    sender: Option<&'static str>,
    verify: &'static str,
    tag_hex: String,
    sseq: Option<u64>,
    /// Only on packets with a keying chunk: the session that they established, if it is recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    keying_of: Option<Option<usize>>,
    flags: u8,
    timestamp: Option<u16>,
    timestamp_echo: Option<u16>,
    padding_len: usize,
    chunks: Vec<ChunkRow>,
    plain_hex: String,
    datagram_hex: String,
}

#[derive(Serialize)]
struct ChunkRow {
    r#type: u8,
    name: &'static str,
    payload_hex: String,
}

#[derive(Serialize)]
struct MessageRow {
    session: usize,
    sender: &'static str,
    flow: u64,
    seq: u64,
    fragments: u64,
    packet: usize,
    metadata_hex: Option<String>,
    return_flow: Option<u64>,
    message_hex: String,
}

/// Deciphers what was recorded and writes it.
pub(super) fn write(mut recording: Recording) -> io::Result<Summary> {
    let (sessions, lost) = resolve(&mut recording);
    let keyring = Keyring::new(&sessions);
    let mut summary = Summary { sessions: sessions.len(), over_limit: recording.over_limit, ..Summary::default() };
    let mut assembler = Assembler::default();
    let mut numbers: HashMap<(usize, Role, u64), &[u8]> = HashMap::new();
    let mut packets = Vec::new();
    for (n, (captured, datagram)) in recording.datagrams().enumerate() {
        let Some(opened) = keyring.open(captured, datagram) else {
            summary.unopened += 1;
            continue;
        };
        if let (Some((session, sender)), Some(sequence)) = (opened.key, opened.sequence) {
            match numbers.entry((session, sender, sequence)) {
                Entry::Vacant(vacant) => {
                    vacant.insert(datagram);
                }
                // A sequence number is used for one packet. Another packet with the same number stays in the file, where it is seen.
                Entry::Occupied(first) if *first.get() == datagram => {
                    summary.repeated += 1;
                    continue;
                }
                Entry::Occupied(_) => (),
            }
        }
        assembler.packet(n, &opened);
        packets.push((n, captured, datagram, opened));
    }
    summary.packets = packets.len();
    summary.messages = assembler.messages.len();

    let mut out = BufWriter::new(&recording.file);
    writeln!(out, "{{")?;
    field(&mut out, "description", &recording.description)?;
    field(&mut out, "peers", &recording.peers)?;
    field(&mut out, "captured_packets", &recording.datagrams.len())?;
    field(&mut out, "captured_verified", &(recording.datagrams.len() - summary.unopened))?;
    field(&mut out, "recorded_packets", &summary.packets)?;
    if let Some(notes) = notes(&summary, &sessions, lost) {
        field(&mut out, "notes", &notes)?;
    }
    list(&mut out, "sessions", sessions.iter().map(session_row), ",")?;
    let start = recording.datagrams.first().map(|first| first.time);
    let rows = packets.iter().map(|(n, captured, datagram, opened)| {
        let time = start.map(|start| captured.time.saturating_duration_since(start)).unwrap_or_default();
        packet_row(*n, time.as_micros() as f64 / 1000.0, captured, datagram, opened, &sessions)
    });
    list(&mut out, "packets", rows, ",")?;
    list(&mut out, "messages", assembler.messages.iter().map(message_row), "")?;
    writeln!(out, "}}")?;
    out.flush()?;
    Ok(summary)
}

/// The sessions with both their ids, and how many are left out because an id of theirs is not known.
fn resolve(recording: &mut Recording) -> (Vec<Session>, usize) {
    let sessions: Sessions = std::mem::take(&mut recording.sessions);
    let mut ids: HashMap<(Role, Vec<u8>), u32> = HashMap::new();
    if sessions.have_unknown_ids() {
        for opened in recording.datagrams().filter_map(|(_, datagram)| open_startup(datagram)) {
            if let Some((role, component, id)) = opened.keying() {
                ids.entry((role, component.to_vec())).or_insert(id);
            }
        }
    }
    sessions.resolved(|role, component| ids.get(&(role, component.to_vec())).copied())
}

fn notes(summary: &Summary, sessions: &[Session], lost: usize) -> Option<String> {
    let mut notes = Vec::new();
    if summary.over_limit > 0 {
        let count = summary.over_limit;
        notes.push(format!("The recording was full: {count} later datagrams or sessions are left out."));
    }
    if summary.unopened > 0 {
        notes.push(format!("{} datagrams that no recorded key opens are left out.", summary.unopened));
    }
    if summary.repeated > 0 {
        notes.push(format!("{} datagrams that the network delivered again are left out.", summary.repeated));
    }
    if lost > 0 {
        notes.push(format!("{lost} sessions whose handshake was not recorded are left out."));
    }
    let disagreeing: Vec<String> = sessions
        .iter()
        .enumerate()
        .filter(|(_, session)| session.disagreement)
        .map(|(number, _)| number.to_string())
        .collect();
    if !disagreeing.is_empty() {
        notes.push(format!("The two ends reported different secrets of sessions {}.", disagreeing.join(", ")));
    }
    (!notes.is_empty()).then(|| notes.join(" "))
}

fn session_row(session: &Session) -> SessionRow {
    let record = &session.record;
    let (initiator, responder) = (&record.initiator, &record.responder);
    let id = |end: &EndRecord| format!("{:08x}", end.place.session_id.unwrap_or_default());
    let private = |end: &EndRecord| end.dh_private.as_ref().map(hex::encode);
    let half = |end: &EndRecord| hex::encode(end.encrypt_key.first_chunk::<16>().unwrap_or(&[0; 16]));
    // RFC 7425 §4.6.2: DH_SECRET has no leading zeros.
    let zeros = record.dh_secret.iter().take_while(|byte| **byte == 0).count();
    SessionRow {
        initiator_addr: initiator.place.address,
        responder_addr: responder.place.address,
        initiator_session_id: id(initiator),
        responder_session_id: id(responder),
        dh_group: record.dh_group,
        dh_secret_hex: hex::encode(record.dh_secret.get(zeros..).unwrap_or_default()),
        initiator_certificate_hex: hex::encode(initiator.certificate.as_bytes()),
        responder_certificate_hex: hex::encode(responder.certificate.as_bytes()),
        initiator_fingerprint_hex: initiator.certificate.fingerprint().to_string(),
        responder_fingerprint_hex: responder.certificate.fingerprint().to_string(),
        initiator_component_hex: hex::encode(&initiator.component),
        responder_component_hex: hex::encode(&responder.component),
        ends_logged: 1 + u8::from(session.both_reported),
        initiator_dh_private_hex: private(initiator),
        responder_dh_private_hex: private(responder),
        initiator_encrypt_key_hex: half(initiator),
        responder_encrypt_key_hex: half(responder),
        initiator_encrypt_key_full_hex: hex::encode(initiator.encrypt_key),
        responder_encrypt_key_full_hex: hex::encode(responder.encrypt_key),
        initiator_hmac_key_hex: hex::encode(initiator.hmac_key),
        responder_hmac_key_hex: hex::encode(responder.hmac_key),
        hmac_length_initiator: initiator.hmac_length,
        hmac_length_responder: responder.hmac_length,
        sseq_initiator: initiator.sequence_numbers,
        sseq_responder: responder.sequence_numbers,
        nonces: Nonces {
            initiator_near_hex: hex::encode(initiator.nonce),
            responder_near_hex: hex::encode(responder.nonce),
        },
    }
}

fn packet_row(
    n: usize,
    time_ms: f64,
    captured: &Captured,
    datagram: &[u8],
    opened: &OpenedPacket,
    sessions: &[Session],
) -> PacketRow {
    let (mut rows, mut stamps, mut padding_len) = (Vec::new(), (None, None), 0);
    if let Some((header, mut chunks)) = opened.parse() {
        stamps = (header.timestamp, header.timestamp_echo);
        for chunk in &mut chunks {
            rows.push(ChunkRow {
                r#type: chunk.kind,
                name: chunk_name(chunk.kind),
                payload_hex: hex::encode(chunk.payload),
            });
        }
        padding_len = chunks.remainder().len();
    }
    PacketRow {
        n,
        time_ms,
        from: captured.from,
        to: captured.to,
        session_id: format!("{:08x}", opened.session_id),
        key: opened.key.map_or_else(|| "default".to_owned(), |(session, _)| format!("session {session}")),
        sender: opened.key.map(|(_, sender)| sender.name()),
        verify: if opened.by_hmac { "hmac" } else { "checksum" },
        tag_hex: hex::encode(&opened.tag),
        sseq: opened.sequence,
        keying_of: opened
            .keying()
            .filter(|_| opened.key.is_none())
            .map(|(role, component, id)| keyed_session(role, component, id, sessions)),
        flags: opened.plain.first().copied().unwrap_or_default(),
        timestamp: stamps.0,
        timestamp_echo: stamps.1,
        padding_len,
        chunks: rows,
        plain_hex: hex::encode(&opened.plain),
        datagram_hex: hex::encode(datagram),
    }
}

/// The session that was established with this component.
fn keyed_session(role: Role, component: &[u8], id: u32, sessions: &[Session]) -> Option<usize> {
    sessions.iter().position(|session| {
        let end = session.record.end(role);
        end.place.session_id == Some(id) && end.component == component
    })
}

fn message_row(message: &Message) -> MessageRow {
    MessageRow {
        session: message.session,
        sender: message.sender.name(),
        flow: message.flow,
        seq: message.sequence,
        fragments: message.fragments,
        packet: message.packet,
        metadata_hex: message.metadata.as_ref().map(hex::encode),
        return_flow: message.return_flow,
        message_hex: hex::encode(&message.bytes),
    }
}

/// The format's names for the chunks of RFC 7016 §2.3.
fn chunk_name(kind: u8) -> &'static str {
    match kind {
        kind::PACKET_FRAGMENT => "PacketFragment",
        kind::IHELLO => "IHello",
        kind::FORWARDED_IHELLO => "FIHello",
        kind::RHELLO => "RHello",
        kind::REDIRECT => "Redirect",
        kind::COOKIE_CHANGE => "RHelloCookieChange",
        kind::IIKEYING => "IIKeying",
        kind::RIKEYING => "RIKeying",
        kind::PING => "Ping",
        kind::PING_REPLY => "PingReply",
        kind::USER_DATA => "UserData",
        kind::NEXT_USER_DATA => "NextUserData",
        kind::ACK_BITMAP => "BitmapAck",
        kind::ACK_RANGES => "RangeAck",
        kind::BUFFER_PROBE => "BufferProbe",
        kind::FLOW_EXCEPTION => "FlowException",
        kind::CLOSE => "Close",
        kind::CLOSE_ACK => "CloseAck",
        // Both ends of the byte's range stand for padding.
        0x00 | 0xff => "Padding",
        _ => "unknown",
    }
}

fn field(out: &mut impl Write, name: &str, value: &impl Serialize) -> io::Result<()> {
    write!(out, " \"{name}\": ")?;
    serde_json::to_writer(&mut *out, value)?;
    writeln!(out, ",")
}

fn list<T: Serialize>(out: &mut impl Write, name: &str, rows: impl Iterator<Item = T>, after: &str) -> io::Result<()> {
    write!(out, " \"{name}\": [")?;
    let mut separator = "\n  ";
    for row in rows {
        write!(out, "{separator}")?;
        serde_json::to_writer(&mut *out, &row)?;
        separator = ",\n  ";
    }
    writeln!(out, "\n ]{after}")
}
