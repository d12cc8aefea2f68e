//! A pair as another process goes on with it, which takes the server's place.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rtmfp::{PeerId, Rate};
use serde::{Deserialize, Serialize};

use super::{AttemptKey, Pair, Pin, Seat};
use crate::addresses::OwnAddresses;
use crate::attempt::{Client, Party, Side, Tag};
use crate::startup::{MAX_TAG, MIN_TAG};

/// A pair. Times are told by how long ago they were when it was written. `R` is what is written of a local address of the server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PairRecord<R> {
    tag: Vec<u8>,
    seats: [SeatRecord<R>; 2],
    burst: u32,
    per_second: u32,
    made: Duration,
    asked: Duration,
    lifetime: Duration,
    is_open: bool,
    datagrams: u64,
    bytes: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SeatRecord<R> {
    port: u16,
    client: ClientRecord,
    address: SocketAddr,
    is_proven: bool,
    pin: Option<PinRecord<R>>,
    heard: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum ClientRecord {
    Peer([u8; 32]),
    Stranger(SocketAddr),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PinRecord<R> {
    source: SocketAddr,
    local: R,
    room: u32,
    is_answered: bool,
    is_proven: bool,
}

impl<L: Copy> Pair<L> {
    pub(crate) fn hand_over<R>(&self, now: Instant, local: impl Fn(L) -> R) -> PairRecord<R> {
        let ago = |then: Instant| now.saturating_duration_since(then);
        let seat = |seat: &Seat<L>| SeatRecord {
            port: seat.port,
            client: match seat.party.client {
                Client::Peer(PeerId(id)) => ClientRecord::Peer(id),
                Client::Stranger(address) => ClientRecord::Stranger(address),
            },
            address: seat.party.address,
            is_proven: seat.party.is_proven,
            pin: seat.pin.map(|pin| PinRecord {
                source: pin.source,
                local: local(pin.local),
                room: pin.room,
                is_answered: pin.is_answered,
                is_proven: pin.is_proven,
            }),
            heard: ago(seat.heard),
        };
        PairRecord {
            tag: self.key.tag.to_vec(),
            seats: [seat(&self.seats[0]), seat(&self.seats[1])],
            burst: self.rate.burst,
            per_second: self.rate.per_second,
            made: ago(self.made),
            asked: ago(self.asked),
            lifetime: self.lifetime,
            is_open: self.is_open,
            datagrams: self.datagrams,
            bytes: self.bytes,
        }
    }

    /// The pair of a record that was written at `then`; `None` if there can be no such pair here.
    pub(crate) fn take_over<R>(
        then: Instant,
        record: PairRecord<R>,
        own: &OwnAddresses,
        local: impl Fn(R) -> L,
    ) -> Option<Self> {
        let ago = |age: Duration| then.checked_sub(age).unwrap_or(then);
        let [asker, target] = record.seats;
        let seat = |seat: SeatRecord<R>| {
            let client = match seat.client {
                ClientRecord::Peer(id) => Client::Peer(PeerId(id)),
                ClientRecord::Stranger(address) => Client::Stranger(address),
            };
            let party = Party { client, address: seat.address, is_proven: seat.is_proven };
            let pin = match seat.pin {
                None => None,
                // The address may be one of this server's by now.
                Some(PinRecord { source, local: record, room, is_answered, is_proven }) => Some(Pin {
                    source,
                    local: local(record),
                    standing: own.standing(source, party.ip())?,
                    room,
                    is_answered,
                    is_proven,
                }),
            };
            Some(Seat { port: seat.port, party, pin, heard: ago(seat.heard) })
        };
        let seats = [seat(asker)?, seat(target)?];
        let [asker, target] = [Side::Asker, Side::Target].map(|side| seats[side.index()].party.client);
        let is_tag = (MIN_TAG..=MAX_TAG).contains(&record.tag.len());
        // An open pair is one that two sides have opened.
        let is_sound = is_tag && asker != target && (!record.is_open || seats.iter().all(|seat| seat.pin.is_some()));
        let rate = Rate { burst: record.burst, per_second: record.per_second };
        let key = AttemptKey { asker, target, tag: Tag::from_vec(record.tag) };
        is_sound.then(|| Self {
            asked: ago(record.asked),
            is_open: record.is_open,
            datagrams: record.datagrams,
            bytes: record.bytes,
            ..Self::new(ago(record.made), key, seats, rate, record.lifetime)
        })
    }
}

#[cfg(test)]
impl<R> PairRecord<R> {
    /// Has it say that it is open.
    pub(crate) fn say_open(&mut self) {
        self.is_open = true;
    }
}
