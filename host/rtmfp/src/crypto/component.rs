//! Session keying components (RFC 7425 §4.5), and what two of them agree on about HMACs and session sequence numbers
//! (§4.6.4, §4.6.6).

use super::error::KeyingError;
use crate::wire::option::Element;
use crate::wire::{Malformed, option, take, vlu};

/// Ephemeral Diffie-Hellman Public Key (§4.5.2.1).
pub(super) const EPHEMERAL_KEY: u64 = 0x0d;
/// Extra Randomness (§4.5.2.2).
pub(super) const EXTRA_RANDOMNESS: u64 = 0x0e;
/// Diffie-Hellman Group Select (§4.5.2.3).
pub(super) const GROUP_SELECT: u64 = 0x1d;
/// HMAC Negotiation (§4.5.2.4).
pub(super) const HMAC_NEGOTIATION: u64 = 0x1a;
/// Session Sequence Number Negotiation (§4.5.2.5).
pub(super) const SEQUENCE_NEGOTIATION: u64 = 0x1e;

/// The three flags with which HMACs and session sequence numbers are negotiated (§4.5.2.4, §4.5.2.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags {
    /// SND: the sender of the component will send it.
    pub will_send_always: bool,
    /// SOR: it will send it if the other end requests it.
    pub will_send_on_request: bool,
    /// REQ: it wants the other end to send it.
    pub request: bool,
}

impl Flags {
    fn from_byte(byte: u8) -> Self {
        Self { will_send_always: byte & 4 != 0, will_send_on_request: byte & 2 != 0, request: byte & 1 != 0 }
    }

    fn to_byte(self) -> u8 {
        u8::from(self.will_send_always) << 2 | u8::from(self.will_send_on_request) << 1 | u8::from(self.request)
    }

    /// Whether the sender of these flags would send at all.
    pub fn can_send(self) -> bool {
        self.will_send_always || self.will_send_on_request
    }

    /// Whether the sender of these flags sends to an end that sent `other` (§4.6.4, §4.6.6).
    pub fn sends_to(self, other: Self) -> bool {
        self.will_send_always || self.will_send_on_request && other.request
    }

    /// What a responder answers to `other`: only what will apply. librtmfp accepts a responder's component only if its flags are
    /// zero where librtmfp asked for nothing.
    fn answer(self, other: Self) -> Self {
        Self {
            will_send_always: self.will_send_always,
            will_send_on_request: self.will_send_on_request && other.request,
            request: self.request && other.can_send(),
        }
    }
}

/// What to do about HMACs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HmacPreference {
    /// Send them in any case.
    pub will_send_always: bool,
    /// Send them if the other end requests it.
    pub will_send_on_request: bool,
    /// Request them from the other end.
    pub request: bool,
    /// Refuse a session in which the other end sends none. Implies `request`.
    pub require: bool,
    /// How many bytes of the HMAC to send: 4 to 32; numbers outside are brought inside.
    pub length: u8,
}

impl Default for HmacPreference {
    /// Sends 16 bytes on request and asks for nothing: understood by every client.
    fn default() -> Self {
        Self { will_send_always: false, will_send_on_request: true, request: false, require: false, length: 16 }
    }
}

impl HmacPreference {
    fn flags(self) -> Flags {
        Flags {
            will_send_always: self.will_send_always,
            will_send_on_request: self.will_send_on_request,
            request: self.request || self.require,
        }
    }

    /// The length to put beside `flags`: zero if and only if none can be sent (§4.5.2.4).
    fn length_for(self, flags: Flags) -> u8 {
        if flags.can_send() { self.length.clamp(*HMAC_LENGTHS.start(), *HMAC_LENGTHS.end()) } else { 0 }
    }
}

/// What to do about session sequence numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SequencePreference {
    /// Send them in any case.
    pub will_send_always: bool,
    /// Send them if the other end requests it.
    pub will_send_on_request: bool,
    /// Request them from the other end.
    pub request: bool,
    /// Refuse a session in which the other end sends none. Implies `request`.
    pub require: bool,
}

impl Default for SequencePreference {
    /// Sends them on request and asks for nothing: understood by every client.
    fn default() -> Self {
        Self { will_send_always: false, will_send_on_request: true, request: false, require: false }
    }
}

impl SequencePreference {
    fn flags(self) -> Flags {
        Flags {
            will_send_always: self.will_send_always,
            will_send_on_request: self.will_send_on_request,
            request: self.request || self.require,
        }
    }
}

/// What to ask for and to offer when a session is keyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// About HMACs.
    pub hmac: HmacPreference,
    /// About session sequence numbers.
    pub sequence: SequencePreference,
    /// Reveal the secrets of the session with its keys, so that recorded traffic can be deciphered later. Off by default.
    pub log_keys: bool,
}

/// The lengths that an HMAC may be cut to (§4.5.2.4).
pub const HMAC_LENGTHS: std::ops::RangeInclusive<u8> = 4..=32;

/// What a component says about HMACs and session sequence numbers. Options that are absent say no to everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Negotiation {
    /// The HMAC flags.
    pub hmac: Flags,
    /// The length of the HMACs that the sender of the component would send.
    pub hmac_length: u8,
    /// The flags for session sequence numbers.
    pub sequence: Flags,
}

impl Negotiation {
    /// What an initiator proposes.
    pub fn propose(preferences: &Preferences) -> Self {
        let hmac = preferences.hmac.flags();
        let hmac_length = preferences.hmac.length_for(hmac);
        Self { hmac, hmac_length, sequence: preferences.sequence.flags() }
    }

    /// What a responder answers.
    pub fn answer(preferences: &Preferences, initiator: &Self) -> Self {
        let hmac = preferences.hmac.flags().answer(initiator.hmac);
        let hmac_length = preferences.hmac.length_for(hmac);
        Self { hmac, hmac_length, sequence: preferences.sequence.flags().answer(initiator.sequence) }
    }

    /// Appends the two options, HMAC first.
    pub fn put(&self, out: &mut Vec<u8>) {
        let mut hmac = vec![self.hmac.to_byte()];
        vlu::put(u64::from(self.hmac_length), &mut hmac);
        option::put(HMAC_NEGOTIATION, &hmac, out);
        option::put(SEQUENCE_NEGOTIATION, &[self.sequence.to_byte()], out);
    }

    /// How the packets of a session are verified between the near end, which sent `self`, and the far end, which sent `far`.
    pub fn settle(&self, far: &Self, preferences: &Preferences) -> Result<Settled, KeyingError> {
        // §4.6.4 and §4.6.6: an end that requires it rejects a component that does not offer it.
        if preferences.hmac.require && !far.hmac.can_send() {
            return Err(KeyingError::HmacRequired);
        }
        if preferences.sequence.require && !far.sequence.can_send() {
            return Err(KeyingError::SequenceNumbersRequired);
        }
        if far.hmac.can_send() && !HMAC_LENGTHS.contains(&far.hmac_length) {
            return Err(KeyingError::HmacLength);
        }
        let length = |flags: Flags, other: Flags, length: u8| if flags.sends_to(other) { length } else { 0 };
        Ok(Settled {
            hmac_send_length: length(self.hmac, far.hmac, self.hmac_length),
            hmac_receive_length: length(far.hmac, self.hmac, far.hmac_length),
            sequence_send: self.sequence.sends_to(far.sequence),
            sequence_receive: far.sequence.sends_to(self.sequence),
        })
    }
}

/// How the packets of a session are verified, seen from one end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// Bytes of HMAC on packets sent; 0 means the checksum is sent instead.
    pub hmac_send_length: u8,
    /// Bytes of HMAC on packets received; 0 means the checksum is there instead.
    pub hmac_receive_length: u8,
    /// Whether packets sent carry a session sequence number.
    pub sequence_send: bool,
    /// Whether packets received carry one.
    pub sequence_receive: bool,
}

/// A session keying component as it was received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Component<'a> {
    /// A group's number and an ephemeral public key in it.
    pub ephemeral_key: Option<(u64, &'a [u8])>,
    /// The number of the group selected by an initiator with static keys.
    pub group_select: Option<u64>,
    /// What it says about HMACs and session sequence numbers.
    pub negotiation: Negotiation,
}

impl<'a> Component<'a> {
    /// Reads a component. Options not understood are ignored (§4.5.2); Extra Randomness needs no reading, because keys are
    /// made from the component as a whole.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut component = Self::default();
        let (mut hmac, mut sequence) = (None, None);
        for element in option::elements(bytes) {
            let Element::Option { kind, mut value } = element? else { continue };
            let input = &mut value;
            let again = match kind {
                EPHEMERAL_KEY => component.ephemeral_key.replace((vlu::take(input)?, *input)).is_some(),
                GROUP_SELECT => component.group_select.replace(vlu::take(input)?).is_some(),
                HMAC_NEGOTIATION => hmac.replace((Flags::from_byte(take::u8(input)?), vlu::take(input)?)).is_some(),
                SEQUENCE_NEGOTIATION => sequence.replace(Flags::from_byte(take::u8(input)?)).is_some(),
                _ => false,
            };
            if again {
                return Err(Malformed("keying component: an option occurs twice"));
            }
        }
        let (hmac, length) = hmac.unwrap_or_default();
        component.negotiation = Negotiation {
            hmac,
            // Whatever is over 255 is as wrong as 255.
            hmac_length: u8::try_from(length).unwrap_or(u8::MAX),
            sequence: sequence.unwrap_or_default(),
        };
        Ok(component)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(byte: u8) -> Flags {
        Flags::from_byte(byte)
    }

    #[test]
    fn what_was_negotiated_is_written_as_it_was_read() {
        for hmac_length in 0..=255 {
            let negotiation = Negotiation { hmac: flags(7), hmac_length, sequence: flags(3) };
            let mut bytes = Vec::new();
            negotiation.put(&mut bytes);
            assert_eq!(Component::parse(&bytes).unwrap().negotiation, negotiation);
        }
    }

    #[test]
    fn a_component_in_full() {
        // The end of the initiator's component in rtmfp-cpp-introduction-ephemeral.json, session 1, with a short key.
        let bytes =
            [0x04, 0x0d, 0x02, 0x67, 0x65, 0x03, 0x1a, 0x07, 0x04, 0x02, 0x1e, 0x07, 0x02, 0x1d, 0x0e, 2, 0x99, 0];
        let component = Component::parse(&bytes).unwrap();
        assert_eq!(component.ephemeral_key, Some((2, &[0x67, 0x65][..])));
        assert_eq!(component.group_select, Some(14));
        let all = Flags { will_send_always: true, will_send_on_request: true, request: true };
        assert_eq!(component.negotiation, Negotiation { hmac: all, hmac_length: 4, sequence: all });
        for end in 1..bytes.len() {
            let whole = [5, 9, 12, 15].contains(&end);
            assert_eq!(Component::parse(&bytes[..end]).is_ok(), whole, "{end}");
        }
        assert!(Component::parse(&[2, 0x1d, 2, 2, 0x1d, 2]).is_err());
        assert_eq!(Component::parse(&[]), Ok(Component::default()));
    }

    #[test]
    fn flags_both_ways() {
        for byte in 0..8 {
            assert_eq!(flags(byte).to_byte(), byte);
            assert_eq!(flags(byte | 0xf8), flags(byte), "reserved bits are ignored");
        }
    }

    #[test]
    fn an_end_sends_always_or_on_request() {
        for near in 0..8u8 {
            for far in 0..8u8 {
                let expected = near & 4 != 0 || near & 2 != 0 && far & 1 != 0;
                assert_eq!(flags(near).sends_to(flags(far)), expected, "{near} {far}");
            }
        }
    }

    #[test]
    fn both_ends_settle_on_the_same() {
        let option = [false, true];
        let mut all = Vec::new();
        for will_send_always in option {
            for will_send_on_request in option {
                for request in option {
                    let hmac =
                        HmacPreference { will_send_always, will_send_on_request, request, require: false, length: 9 };
                    let sequence =
                        SequencePreference { will_send_always, will_send_on_request, request, require: false };
                    all.push(Preferences { hmac, sequence, log_keys: false });
                    // Another end wants the opposite in one point, and another length.
                    let hmac = HmacPreference { request: !request, length: 20, ..hmac };
                    all.push(Preferences { hmac, sequence, log_keys: false });
                }
            }
        }
        for initiator in &all {
            for responder in &all {
                let proposed = Negotiation::propose(initiator);
                let answered = Negotiation::answer(responder, &proposed);
                let near = proposed.settle(&answered, initiator).unwrap();
                let far = answered.settle(&proposed, responder).unwrap();
                assert_eq!(near.hmac_send_length, far.hmac_receive_length);
                assert_eq!(near.hmac_receive_length, far.hmac_send_length);
                assert_eq!(near.sequence_send, far.sequence_receive);
                assert_eq!(near.sequence_receive, far.sequence_send);
                // Answering less than one would do changes nothing about the outcome.
                assert_eq!(near.hmac_send_length != 0, initiator.hmac.flags().sends_to(responder.hmac.flags()));
                assert!([0, initiator.hmac.length].contains(&near.hmac_send_length), "an end chooses what it sends");
                assert_eq!(near.sequence_receive, responder.sequence.flags().sends_to(initiator.sequence.flags()));
            }
        }
    }

    #[test]
    fn the_answer_to_a_client_that_asks_for_nothing() {
        // librtmfp sends 03 1a 02 0a, 02 1e 02 and expects zeros.
        let initiator = Component::parse(&[3, 0x1a, 2, 10, 2, 0x1e, 2]).unwrap().negotiation;
        let answer = Negotiation::answer(&Preferences::default(), &initiator);
        let mut bytes = Vec::new();
        answer.put(&mut bytes);
        assert_eq!(bytes, [3, 0x1a, 0, 0, 2, 0x1e, 0]);
        assert_eq!(answer.settle(&initiator, &Preferences::default()), Ok(Settled::default()));
    }

    #[test]
    fn requirements_and_lengths() {
        let mut strict = Preferences::default();
        strict.hmac.require = true;
        let near = Negotiation::propose(&strict);
        assert!(near.hmac.request, "what is required is requested");
        let silent = Negotiation::default();
        assert_eq!(near.settle(&silent, &strict), Err(KeyingError::HmacRequired));
        strict.hmac.require = false;
        strict.sequence.require = true;
        assert_eq!(near.settle(&silent, &strict), Err(KeyingError::SequenceNumbersRequired));
        for (length, good) in [(0u8, false), (3, false), (4, true), (32, true), (33, false), (255, false)] {
            let far = Negotiation { hmac: flags(6), hmac_length: length, ..Negotiation::default() };
            let settled = near.settle(&far, &Preferences::default());
            assert_eq!(settled.is_ok(), good, "{length}");
        }
        let long = Component::parse(&[5, 0x1a, 4, 0xff, 0xff, 0x20]).unwrap();
        assert_eq!(near.settle(&long.negotiation, &Preferences::default()), Err(KeyingError::HmacLength));
        let mut odd = Preferences::default();
        odd.hmac.length = 200;
        assert_eq!(Negotiation::propose(&odd).hmac_length, 32);
    }

    #[test]
    fn the_answer_asks_nothing_of_an_end_that_can_send_nothing() {
        let mut wanting = Preferences::default();
        (wanting.hmac.request, wanting.sequence.request) = (true, true);
        for (initiator, request) in [(0, false), (1, false), (2, true), (4, true)] {
            let initiator = Negotiation { hmac: flags(initiator), hmac_length: 9, sequence: flags(initiator) };
            let answer = Negotiation::answer(&wanting, &initiator);
            assert_eq!((answer.hmac.request, answer.sequence.request), (request, request), "{initiator:?}");
        }
    }

    #[test]
    fn a_length_is_brought_inside_its_bounds() {
        for (wanted, sent) in [(0, 4), (4, 4), (16, 16), (32, 32), (255, 32)] {
            let mut preferences = Preferences::default();
            preferences.hmac.length = wanted;
            assert_eq!(Negotiation::propose(&preferences).hmac_length, sent);
            preferences.hmac.will_send_on_request = false;
            assert_eq!(Negotiation::propose(&preferences).hmac_length, 0, "none is sent");
        }
    }

    #[test]
    fn no_option_that_counts_may_occur_twice() {
        for option in [&[3, 0x0d, 2, 9][..], &[2, 0x1d, 2], &[3, 0x1a, 2, 10], &[2, 0x1e, 2]] {
            assert!(Component::parse(option).is_ok(), "{option:?}");
            assert!(Component::parse(&option.repeat(2)).is_err(), "{option:?}");
        }
        assert!(Component::parse(&[2, 0x0e, 1, 2, 0x0e, 1]).is_ok(), "randomness may");
    }
}
