//! Passing datagrams on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::{Forward, Pairs, Place};
use crate::addresses::Standing;
use crate::attempt::Side;
use crate::counts::{DropReason, End};
use crate::startup::is_of_session;

/// A side that has been silent for this long has lost its address to the client whose hello comes from there. A forged hello takes no address from
/// a client that is there: peers with a session are never silent for so long.
const REUSED_AFTER: Duration = Duration::from_secs(20);

impl<L: Copy> Pairs<L> {
    /// Decides about a datagram that came to a port, at a local address of the server.
    ///
    /// # Errors
    /// If it is not passed on. The reason is counted.
    pub fn datagram(
        &mut self,
        now: Instant,
        port: u16,
        local: L,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<Forward<L>, DropReason> {
        self.try_datagram(now, port, local, from, datagram).inspect_err(|reason| self.counts.drop(*reason))
    }

    fn try_datagram(
        &mut self,
        now: Instant,
        port: u16,
        local: L,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<Forward<L>, DropReason> {
        let is_of_session = is_of_session(datagram);
        let known = self.by_source.get(&(port, from)).copied();
        let (place, side) = match known {
            Some(known) if is_of_session => known,
            None if is_of_session => return Err(DropReason::Unknown),
            // Another client may have come to this address: a NAT uses its addresses again.
            Some(known) => match self.enter(now, port, local, from, datagram) {
                Err(DropReason::Unknown | DropReason::UnknownTag | DropReason::WrongKind) => known,
                entered => entered?,
            },
            None => self.enter(now, port, local, from, datagram)?,
        };
        self.pass_on(now, place, side, datagram.len(), is_of_session)
    }

    /// Pins a side of a pair to the source of a startup packet with the pair's tag.
    fn enter(
        &mut self,
        now: Instant,
        port: u16,
        local: L,
        from: SocketAddr,
        datagram: &[u8],
    ) -> Result<(Place, Side), DropReason> {
        let (kind, tag) = self.reader.read(datagram).ok_or(DropReason::Unknown)?;
        let &(place, side) = self.by_tag.get(&(port, tag)).ok_or(DropReason::UnknownTag)?;
        if kind != side {
            return Err(DropReason::WrongKind);
        }
        let holder = self.by_source.get(&(port, from)).copied().filter(|(other, _)| *other != place);
        if let Some((other, its)) = holder
            && self.pair(other).is_some_and(|pair| pair.seat(its).silence(now) < REUSED_AFTER)
        {
            return Err(DropReason::Elsewhere);
        }
        let pair = self.pairs.get_mut(place as usize).and_then(Option::as_mut).ok_or(DropReason::UnknownTag)?;
        let seat = pair.seat_mut(side);
        let standing = self.own.standing(from, seat.party.ip()).ok_or(DropReason::Address)?;
        match &seat.pin {
            Some(pin) if pin.source == from => return Ok((place, side)),
            // A client that is where the server knows it to be displaces one that says to be elsewhere.
            Some(pin) if pin.standing == Standing::Foreign && standing == Standing::Known => {
                self.by_source.remove(&(port, pin.source));
            }
            Some(_) => return Err(DropReason::Elsewhere),
            None => (),
        }
        seat.pin(from, local, standing);
        if let Some((other, _)) = holder {
            self.remove(other, End::Replaced);
        }
        self.by_source.insert((port, from), (place, side));
        Ok((place, side))
    }

    fn pass_on(
        &mut self,
        now: Instant,
        place: Place,
        side: Side,
        len: usize,
        is_of_session: bool,
    ) -> Result<Forward<L>, DropReason> {
        let bytes = u32::try_from(len).unwrap_or(u32::MAX);
        let at = now.saturating_duration_since(self.epoch);
        let pair = self.pairs.get_mut(place as usize).and_then(Option::as_mut).ok_or(DropReason::Unknown)?;
        pair.seat_mut(side).hear(now, bytes, is_of_session);
        if pair.opens() {
            self.unopened.remove(&(pair.last_asked(), place));
            self.counts.opened += 1;
        }
        let (rate, bucket) = (pair.rate, pair.bucket);
        let seat = pair.seat_mut(side.other());
        let port = seat.port;
        let pin = seat.pin.as_mut().ok_or(DropReason::Waiting)?;
        if !pin.has_room(bytes) {
            return Err(if pin.is_proven { DropReason::Unheard } else { DropReason::Unproven });
        }
        if !bucket.has(at, rate, bytes) {
            return Err(DropReason::PairRate);
        }
        if !self.total.take(at, self.total_rate, bytes) {
            return Err(DropReason::TotalRate);
        }
        pin.spend(bytes);
        let forward = Forward { port, local: pin.local, to: pin.source };
        pair.bucket.spend(at, rate, bytes);
        pair.datagrams += 1;
        pair.bytes += u64::from(bytes);
        self.counts.datagrams += 1;
        self.counts.bytes += u64::from(bytes);
        Ok(forward)
    }
}
