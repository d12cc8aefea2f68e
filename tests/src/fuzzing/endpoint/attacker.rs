//! What happens to the endpoint: the input decides.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::crypto::component::{Flags, Negotiation};
use rtmfp::crypto::{Epd, Sealer};
use rtmfp::flow::{Delivery, FlowOptions, MessageId, Order, RecvFlowId, SendFlowId};
use rtmfp::wire::chunk::{CookieChange, IHello, IIKeying, PacketFragment, RHello, RIKeying, Redirect};
use rtmfp::wire::packet::put_chunk;
use rtmfp::wire::{Mode, Origin, PacketHeader, TaggedAddress, option};
use rtmfp::{InterfaceId, SessionId};

use super::super::input::Input;
use super::packets::{in_pieces, session_packet};
use super::world::{ADDRESSES, IDENTITIES, World};

/// Ephemeral Diffie-Hellman Public Key (RFC 7425 §4.5.2.1).
const EPHEMERAL_KEY: u64 = 0x0d;

/// The attacker opens a session as anybody can.
pub(super) fn open_session(world: &mut World, input: &mut Input<'_>) {
    let component = component(input.u8());
    let epd = Epd::fingerprint(IDENTITIES.victim.peer_id());
    world.throw(ADDRESSES[0], &startup(0, |out| IHello { epd: &epd, tag: b"attacker" }.put(out)));
    let Some(cookie) = world.cookies.last().cloned() else { return };
    let certificate = IDENTITIES.attacker.certificate().as_bytes();
    world.throw(ADDRESSES[0], &startup(0, |out| keying(0x0a0a_0a0a, &cookie, certificate, &component).put(out)));
}

/// One thing happens.
pub(super) fn act(world: &mut World, input: &mut Input<'_>) {
    match input.below(16) {
        0 => {
            let from = input.one_of(&ADDRESSES);
            world.throw(from, input.long_string());
        }
        1..=4 => throw_startup(world, input),
        5..=9 => {
            let (from, choice, place) = (input.u8(), input.below(8), input.u8());
            // The honest client's keys are its own.
            let count = world.links.len();
            if count < 2 {
                return;
            }
            let index = 1 + usize::from(place) % (count - 1);
            let link = &mut world.links[index];
            let packets = match choice {
                0 => vec![input.string().to_vec()],
                7 => in_pieces(link, input),
                _ => vec![session_packet(link, input)],
            };
            let datagrams: Vec<Vec<u8>> = packets.iter().map(|plain| link.seal(plain)).collect();
            let from = if from < 0xe0 { link.address } else { ADDRESSES[usize::from(from) % ADDRESSES.len()] };
            datagrams.iter().for_each(|datagram| world.throw_sealed(from, datagram));
        }
        10 | 11 => {
            let milliseconds = match input.u8() {
                short @ 0..=0x7f => u64::from(short),
                long @ 0x80..=0xef => u64::from(long) * 40,
                minutes => u64::from(minutes) * 1000,
            };
            world.wait(Duration::from_millis(milliseconds));
        }
        12 => replay(world, input),
        13 => world.honest_says(input.string().to_vec()),
        _ => application(world, input),
    }
}

/// A datagram that was sent before, by any end, damaged or not.
fn replay(world: &mut World, input: &mut Input<'_>) {
    let (place, from, damage) = (input.u8(), input.u8(), input.u8());
    let Some(place) = usize::from(place).checked_rem(world.remembered.len()) else { return };
    let (sender, mut datagram) = world.remembered[place].clone();
    if damage >= 0x80
        && let Some(at) = usize::from(input.u16()).checked_rem(datagram.len())
    {
        datagram[at] ^= damage << 1 | 1;
    }
    let from = if from < 0x80 { sender } else { ADDRESSES[usize::from(from) % ADDRESSES.len()] };
    world.throw_sealed(from, &datagram);
}

fn throw_startup(world: &mut World, input: &mut Input<'_>) {
    let from = input.one_of(&ADDRESSES);
    let session = match input.below(8) {
        0..=3 => 0,
        4..=6 => world.initiation,
        _ => world.links.last().map_or(0, |link| link.session.get()),
    };
    if input.below(8) == 0 {
        let datagram = startup(session, |out| {
            out.extend_from_slice(input.long_string());
            true
        });
        world.throw(from, &datagram);
        return;
    }
    let mut plain = vec![0x03];
    let count = if input.below(4) == 0 { 1 + input.below(200) } else { 1 };
    let before = input.clone();
    for _ in 0..count {
        // The same again and again.
        *input = before.clone();
        if !startup_chunk(world, input, &mut plain) || plain.len() > 1400 {
            break;
        }
    }
    match input.below(8) {
        0 => throw_fragments(world, input, from, session, &plain),
        _ => world.throw(from, &startup(session, |out| put_all(out, &plain[1..]))),
    }
}

fn put_all(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    out.extend_from_slice(bytes);
    true
}

fn throw_fragments(world: &mut World, input: &mut Input<'_>, from: SocketAddr, session: u32, plain: &[u8]) {
    let (packet_id, size) = (input.number(), 1 + input.below(256));
    let together = input.flag();
    let count = plain.len().div_ceil(size);
    let mut all = Vec::new();
    for (number, bytes) in plain.chunks(size).enumerate() {
        let fragment = PacketFragment {
            more_fragments: number + 1 < count,
            packet_id,
            fragment_num: number as u64,
            fragment: bytes,
        };
        if together {
            fragment.put(&mut all);
        } else {
            world.throw_sealed(from, &startup(session, |out| fragment.put(out)));
        }
    }
    if together {
        world.throw(from, &startup(session, |out| put_all(out, &all)));
    }
}

fn startup_chunk(world: &World, input: &mut Input<'_>, out: &mut Vec<u8>) -> bool {
    match input.below(8) {
        0 | 1 => {
            let victim = Epd::fingerprint(IDENTITIES.victim.peer_id());
            let honest = Epd::fingerprint(IDENTITIES.honest.peer_id());
            let ancillary = Epd::ancillary("rtmfp:");
            let short = [1, 0x0a];
            let epd = match input.below(5) {
                0 => &victim[..],
                1 => &honest,
                2 => &ancillary,
                3 => &short,
                _ => input.string(),
            };
            IHello { epd, tag: input.string() }.put(out)
        }
        2 => {
            let tag_echo = if input.below(8) == 0 { input.string() } else { &world.tag };
            RHello { tag_echo, cookie: input.string(), certificate: certificate(input) }.put(out)
        }
        3 => {
            let tag_echo = if input.below(8) == 0 { input.string() } else { &world.tag };
            let destinations: Vec<_> = (0..input.below(6))
                .map(|_| TaggedAddress::new(input.one_of(&ADDRESSES), input.one_of(&[Origin::Observed, Origin::Relay])))
                .collect();
            Redirect::put(tag_echo, &destinations, out)
        }
        4 => {
            let old_cookie = if input.below(8) == 0 { input.string() } else { &world.sent_cookie };
            CookieChange { old_cookie, new_cookie: input.string() }.put(out)
        }
        5 => {
            let place = usize::from(input.u8()).checked_rem(world.cookies.len());
            let cookie = place.map_or(input.string(), |place| &world.cookies[place]);
            let (certificate, session) = (certificate(input), input.number() as u32);
            keying(session, cookie, certificate, &some_component(input)).put(out)
        }
        6 => {
            let component = some_component(input);
            let session_id = input.number() as u32;
            RIKeying { session_id, component: &component, signature: b"X", signed_portion: &[] }.put(out)
        }
        _ => {
            let kind = input.u8();
            put_chunk(kind, out, |out| out.extend_from_slice(input.string()))
        }
    }
}

fn certificate<'a>(input: &mut Input<'a>) -> &'a [u8] {
    match input.below(8) {
        0..=4 => IDENTITIES.attacker.certificate().as_bytes(),
        5 => IDENTITIES.victim.certificate().as_bytes(),
        6 => &[1, 0x0a, 2, 0x15, 2],
        _ => input.string(),
    }
}

fn some_component(input: &mut Input<'_>) -> Vec<u8> {
    if input.below(8) == 0 { input.string().to_vec() } else { component(input.u8()) }
}

/// A component with a good key that asks for and offers what `choices` say.
fn component(choices: u8) -> Vec<u8> {
    let flags = |bits: u8| Flags {
        will_send_always: bits & 4 != 0,
        will_send_on_request: bits & 2 != 0,
        request: bits & 1 != 0,
    };
    let hmac_length = if choices & 0x40 != 0 { 4 } else { 16 };
    let negotiation = Negotiation { hmac: flags(choices), hmac_length, sequence: flags(choices >> 3) };
    let mut component = Vec::new();
    negotiation.put(&mut component);
    let key = [&[2], IDENTITIES.pair.public()].concat();
    option::put(EPHEMERAL_KEY, &key, &mut component);
    component
}

fn keying<'a>(session_id: u32, cookie_echo: &'a [u8], certificate: &'a [u8], component: &'a [u8]) -> IIKeying<'a> {
    IIKeying { session_id, cookie_echo, certificate, component, signature: b"X", signed_parameters: &[] }
}

/// A datagram of session startup.
fn startup(session: u32, write: impl FnOnce(&mut Vec<u8>) -> bool) -> Vec<u8> {
    let mut sealer = Sealer::startup();
    let mut out = Vec::new();
    sealer.begin(&mut out);
    PacketHeader::new(Mode::Startup).put(&mut out);
    write(&mut out);
    sealer.finish(session, 0, &mut out);
    out
}

/// The endpoint's application does something.
fn application(world: &mut World, input: &mut Input<'_>) {
    let now = world.now;
    let count = world.links.len();
    let place = input.u8();
    if count < 2 || place < 0x30 {
        return without_session(world, input);
    }
    let index = 1 + usize::from(place) % (count - 1);
    with_session(world, input, index, now);
    world.settle();
}

fn without_session(world: &mut World, input: &mut Input<'_>) {
    let lookup = world.lookups.last().cloned();
    match (input.below(4), lookup) {
        (0, Some(lookup)) => world.redirect(&lookup),
        (1, Some(lookup)) => {
            // To the honest client: whatever the asker wrote must be fit to be passed on.
            let target = world.links[input.below(world.links.len())].session;
            let _ = world.victim.forward(world.now, target, &lookup);
        }
        _ => {
            let attacker = Epd::fingerprint(IDENTITIES.attacker.peer_id());
            let epd = if input.below(4) == 0 { input.string().to_vec() } else { attacker.to_vec() };
            let to = input.below(ADDRESSES.len() - 1);
            let opened = world.victim.open(world.now, epd, &[(InterfaceId(1), ADDRESSES[to])]);
            if let Some(session) = opened
                && input.below(8) == 0
            {
                world.victim.close(world.now, session);
            }
        }
    }
    world.settle();
}

fn with_session(world: &mut World, input: &mut Input<'_>, index: usize, now: Instant) {
    let (victim, link) = (&mut world.victim, &mut world.links[index]);
    let session: SessionId = link.session;
    let received = input.u8();
    let received = match usize::from(received).checked_rem(link.receiving.len()) {
        Some(place) => link.receiving[place],
        None => RecvFlowId(u64::from(received)),
    };
    let sending = input.u8();
    let sending = match usize::from(sending).checked_rem(link.sending.len()) {
        Some(place) => link.sending[place],
        None => SendFlowId(u64::from(sending)),
    };
    match input.below(16) {
        0..=2 => {
            let options = FlowOptions {
                return_of: input.flag().then_some(received),
                time_critical: input.flag(),
                ..FlowOptions::default()
            };
            if let Ok(flow) = victim.open_flow(now, session, input.string(), options) {
                link.sending.push(flow);
            }
        }
        3..=7 => {
            let deadline = |choice: u8| (choice < 64).then(|| now + Duration::from_millis(u64::from(choice) * 20));
            let delivery = Delivery {
                start_by: deadline(input.u8()),
                finish_by: deadline(input.u8()),
                send_once: input.flag(),
                notify: input.flag(),
            };
            let _ = victim.send(now, session, sending, vec![0x66; usize::from(input.u16())], delivery);
        }
        8 => {
            let _ = victim.with_flows(now, session, |flows| flows.close(sending));
        }
        9 => {
            let message = MessageId(input.number());
            let _ = victim.with_flows(now, session, |flows| flows.abandon(sending, message));
        }
        10 => {
            let exception = input.number();
            link.receiving.retain(|other| *other != received);
            let _ = victim.with_flows(now, session, |flows| flows.reject(received, exception));
        }
        11 => {
            let _ = victim.with_flows(now, session, |flows| flows.pause(received));
        }
        12 => {
            let _ = victim.with_flows(now, session, |flows| flows.resume(received));
        }
        13 => {
            let order = input.one_of(&[Order::Arrival, Order::Original]);
            let _ = victim.with_flows(now, session, |flows| flows.set_order(received, order));
        }
        14 => {
            victim.ping(now, session, input.string());
        }
        _ if input.below(8) == 0 => victim.close(now, session),
        _ => {
            let _ = victim.with_flows(now, session, |flows| flows.begin(sending));
        }
    }
}
