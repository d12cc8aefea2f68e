//! Reports: the members that neighbours name to each other (WIRE.md §3.4).

use rtmfp::crypto::Epd;
use rtmfp::wire::option::{self, Element};
use rtmfp::wire::{Malformed, take, vlu};
use rtmfp::{PeerId, TaggedAddress};

/// The option with the receiver's address, as the sender sees it.
const RECEIVER: u64 = 0x0d;
/// The option with the addresses of the sender or of a member, those of its servers first.
const ADDRESSES: u64 = 0x0a;

/// How many members of one report are read; the others are ignored.
pub const MAX_ENTRIES: usize = 256;
/// How many addresses of one peer are read; the others are ignored.
pub const MAX_ADDRESSES: usize = 16;

/// A report to a neighbour: the sender's own addresses, and the members that it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The receiver's address as the sender sees it.
    pub receiver: Option<TaggedAddress>,
    /// The sender's addresses: that of its server first, as a relay.
    pub sender: Vec<TaggedAddress>,
    /// The members that the sender knows. The receiver may be among them.
    pub entries: Vec<Entry>,
}

/// A member in a report.
#[allow(missing_docs, reason = "the names say it")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub peer: PeerId,
    /// How many seconds ago the member was last heard.
    pub age: u64,
    /// The member's addresses: that of its server first, as a relay. There may be none.
    pub addresses: Vec<TaggedAddress>,
}

impl Report {
    /// Reads the message after its first byte: options up to a marker; then, for each member, the length of its endpoint discriminator, the
    /// discriminator, the age, and options up to a marker. A member whose discriminator has no fingerprint is left out.
    pub(super) fn read(mut input: &[u8]) -> Result<Self, Malformed> {
        let mut report = Self::default();
        let (receiver, sender) = take_addresses(&mut input)?;
        (report.receiver, report.sender) = (receiver, sender);
        while !input.is_empty() && report.entries.len() < MAX_ENTRIES {
            let peer = Epd::parse(vlu::take_prefixed(&mut input)?).ok().and_then(|epd| epd.fingerprint);
            let age = vlu::take(&mut input)?;
            let (_, addresses) = take_addresses(&mut input)?;
            if let Some(peer) = peer {
                report.entries.push(Entry { peer, age, addresses });
            }
        }
        Ok(report)
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if let Some(receiver) = self.receiver {
            put_addresses(RECEIVER, &[receiver], out);
        }
        put_addresses(ADDRESSES, &self.sender, out);
        option::put_marker(out);
        for entry in &self.entries {
            vlu::put_prefixed(&Epd::fingerprint(entry.peer), out);
            vlu::put(entry.age, out);
            put_addresses(ADDRESSES, &entry.addresses, out);
            option::put_marker(out);
        }
    }
}

fn put_addresses(kind: u64, addresses: &[TaggedAddress], out: &mut Vec<u8>) {
    let mut value = Vec::new();
    for address in addresses {
        address.put(&mut value);
    }
    option::put(kind, &value, out);
}

/// The addresses in a list of options up to its marker: the first of [`RECEIVER`], and those of [`ADDRESSES`].
fn take_addresses(input: &mut &[u8]) -> Result<(Option<TaggedAddress>, Vec<TaggedAddress>), Malformed> {
    let (mut receiver, mut addresses) = (None, Vec::new());
    while let Some((kind, mut value)) = take_option(input)? {
        match kind {
            RECEIVER => receiver = Some(TaggedAddress::take(&mut value)?),
            ADDRESSES => {
                while !value.is_empty() && addresses.len() < MAX_ADDRESSES {
                    addresses.push(TaggedAddress::take(&mut value)?);
                }
            }
            _ => {}
        }
    }
    Ok((receiver, addresses))
}

/// The next option; `None` at the marker. Some senders write a length of 130 and more in one raw byte (WIRE.md §3.4). As a variable
/// length number, such a byte with the type after it would mean over 260 bytes of addresses, which no peer has.
fn take_option<'a>(input: &mut &'a [u8]) -> Result<Option<(u64, &'a [u8])>, Malformed> {
    if let [length @ 0x82..=0xff, kind @ (0x0a | 0x0d), ..] = **input {
        take::u8(input)?;
        let payload = take::bytes(input, usize::from(length))?;
        return Ok(payload.split_first().map(|(_, value)| (u64::from(kind), value)));
    }
    Ok(match option::take(input)? {
        Element::Marker => None,
        Element::Option { kind, value } => Some((kind, value)),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rtmfp::Origin;

    use super::*;

    fn address(text: &str, origin: Origin) -> TaggedAddress {
        TaggedAddress::new(text.parse().unwrap(), origin)
    }

    fn report() -> Report {
        Report {
            receiver: Some(address("192.0.2.1:1", Origin::Observed)),
            sender: vec![address("192.0.2.9:1935", Origin::Relay), address("[2001:db8::1]:5", Origin::Observed)],
            entries: vec![
                Entry { peer: PeerId([1; 32]), age: 0, addresses: vec![address("192.0.2.9:1935", Origin::Relay)] },
                Entry { peer: PeerId([2; 32]), age: 299, addresses: Vec::new() },
            ],
        }
    }

    fn written(report: &Report) -> Vec<u8> {
        let mut bytes = Vec::new();
        report.write(&mut bytes);
        bytes
    }

    #[test]
    fn both_ways_and_truncated() {
        for report in [report(), Report::default()] {
            let bytes = written(&report);
            assert_eq!(Report::read(&bytes), Ok(report.clone()));
            // A report may end after any member, and nowhere else.
            let ends: Vec<_> = (0..bytes.len()).filter(|end| Report::read(&bytes[..*end]).is_ok()).collect();
            assert_eq!(ends.len(), report.entries.len(), "{ends:?}");
        }
    }

    #[test]
    fn a_length_in_one_raw_byte() {
        let many: Vec<_> = (0..20).map(|port| address(&format!("192.0.2.1:{port}"), Origin::Observed)).collect();
        let mut bytes = vec![141, 0x0a];
        for address in &many {
            address.put(&mut bytes);
        }
        bytes.push(0);
        assert_eq!(Report::read(&bytes).unwrap().sender, many[..MAX_ADDRESSES]);
        let regular = written(&Report { sender: many.clone(), ..Report::default() });
        assert_eq!(regular[..3], [0x81, 0x0d, 0x0a]);
        assert_eq!(Report::read(&regular).unwrap().sender, many[..MAX_ADDRESSES]);
    }

    #[test]
    fn what_is_not_understood_is_passed_over() {
        let whole = written(&report());
        // An option of an unknown type before all others.
        let before = [&[3, 0x66, 1, 2], &whole[..]].concat();
        assert_eq!(Report::read(&before), Ok(report()));
        // A member without a fingerprint.
        let after = [&whole[..], &[1, 0x77, 5, 1, 0x0a, 0]].concat();
        assert_eq!(Report::read(&after), Ok(report()));
    }

    #[test]
    fn a_long_report_is_read_in_part() {
        let entry = Entry { peer: PeerId([1; 32]), age: 1, addresses: Vec::new() };
        let long = Report { entries: vec![entry; 10_000], ..Report::default() };
        assert_eq!(Report::read(&written(&long)).unwrap().entries.len(), MAX_ENTRIES);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
            let _ = Report::read(&bytes);
        }
    }
}
