//! HMAC-SHA256 with a key that is used more than once.

use sha2::block_api::compress256;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The length of a block of SHA-256 in bytes.
const BLOCK: usize = 64;
/// The state in which SHA-256 begins (FIPS 180-4 §5.3.3).
const INITIAL: State =
    [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a, 0x510e_527f, 0x9b05_688c, 0x1f83_d9ab, 0x5be0_cd19];

type State = [u32; 8];

/// An HMAC-SHA256 that has taken in its key, and only that.
///
/// Only the two states after the key's block are kept: each session has two of these, and what the `hmac` crate keeps besides (how many
/// blocks there were, and a buffer) would make them a quarter larger at least. The compression function is that of `sha2`.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub(crate) struct KeyedHmac {
    inner: State,
    outer: State,
}

impl KeyedHmac {
    /// With a key of any length.
    pub(crate) fn new(key: &[u8]) -> Self {
        // RFC 2104 §2: a key is padded with zeros to the length of a block; one longer than that is hashed first.
        let mut block = Zeroizing::new([0; BLOCK]);
        match block.get_mut(..key.len()) {
            Some(start) => start.copy_from_slice(key),
            None => block[..32].copy_from_slice(&Sha256::digest(key)),
        }
        let after = |pad: u8| {
            let padded = Zeroizing::new(block.map(|byte| byte ^ pad));
            let mut state = INITIAL;
            compress256(&mut state, std::slice::from_ref(&*padded));
            state
        };
        Self { inner: after(0x36), outer: after(0x5c) }
    }

    /// The HMAC of the parts, one after the other.
    pub(crate) fn of(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut inner = Hashing::after_a_block(self.inner);
        parts.iter().for_each(|part| inner.update(part));
        let mut outer = Hashing::after_a_block(self.outer);
        outer.update(&inner.finish());
        outer.finish()
    }

    /// The first 16 bytes of [`Self::of`].
    pub(crate) fn half_of(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut half = [0; 16];
        half.copy_from_slice(&self.of(parts)[..16]);
        half
    }

    /// The two states, as secret as the key: for another process that goes on with a session.
    pub(crate) fn write(&self) -> Vec<u8> {
        self.inner.iter().chain(&self.outer).flat_map(|word| word.to_be_bytes()).collect()
    }

    /// From what [`Self::write`] gave; `None` for anything else.
    pub(crate) fn read(bytes: &[u8]) -> Option<Self> {
        let mut keyed = Self { inner: [0; 8], outer: [0; 8] };
        let (words, rest) = bytes.as_chunks::<4>();
        if words.len() != 16 || !rest.is_empty() {
            return None;
        }
        let all = keyed.inner.iter_mut().chain(&mut keyed.outer);
        all.zip(words).for_each(|(state, word)| *state = u32::from_be_bytes(*word));
        Some(keyed)
    }
}

/// SHA-256 under way.
struct Hashing {
    state: State,
    /// The first bytes of a block that is not whole yet.
    begun: [u8; BLOCK],
    filled: usize,
    /// Bytes hashed and begun.
    length: u64,
}

impl Hashing {
    fn after_a_block(state: State) -> Self {
        Self { state, begun: [0; BLOCK], filled: 0, length: BLOCK as u64 }
    }

    fn update(&mut self, mut data: &[u8]) {
        self.length += data.len() as u64;
        if self.filled > 0 {
            let (head, rest) = data.split_at(data.len().min(BLOCK - self.filled));
            self.begin(head);
            if self.filled < BLOCK {
                return;
            }
            compress256(&mut self.state, std::slice::from_ref(&self.begun));
            (self.filled, data) = (0, rest);
        }
        let (blocks, rest) = data.as_chunks();
        if !blocks.is_empty() {
            compress256(&mut self.state, blocks);
        }
        self.begin(rest);
    }

    /// Takes bytes of a block that is not whole; there is room for them.
    fn begin(&mut self, bytes: &[u8]) {
        if let Some(room) = self.begun.get_mut(self.filled..self.filled + bytes.len()) {
            room.copy_from_slice(bytes);
            self.filled += bytes.len();
        }
    }

    /// Pads what there is (FIPS 180-4 §5.1.1): one bit, zeros, and the length in bits, which ends a block.
    fn finish(mut self) -> [u8; 32] {
        let mut last = [[0; BLOCK]; 2];
        let flat = last.as_flattened_mut();
        flat[..self.filled].copy_from_slice(&self.begun[..self.filled]);
        flat[self.filled] = 0x80;
        let end = if self.filled + 1 + 8 <= BLOCK { BLOCK } else { 2 * BLOCK };
        flat[end - 8..end].copy_from_slice(&(self.length * 8).to_be_bytes());
        compress256(&mut self.state, &last[..end / BLOCK]);
        let mut hash = [0; 32];
        for (bytes, word) in hash.as_chunks_mut().0.iter_mut().zip(self.state) {
            *bytes = word.to_be_bytes();
        }
        hash
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;

    fn reference(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        parts.iter().for_each(|part| mac.update(part));
        mac.finalize().into_bytes().into()
    }

    #[test]
    fn long_keys_are_hashed_first() {
        // RFC 4231 §4.7: HMAC-SHA256 with a key of 131 bytes.
        let mac = KeyedHmac::new(&[0xaa; 131]).of(&[b"Test Using Larger Than Block-Size Key", b" - Hash Key First"]);
        assert_eq!(mac[..8], [0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f]);
        // RFC 4231 §4.3: a short key.
        let mac = KeyedHmac::new(b"Jefe").half_of(&[b"what do ya want for nothing?"]);
        assert_eq!(mac[..8], [0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e]);
    }

    /// Around the ends of blocks, and of the room for the length.
    #[test]
    fn every_length_of_key_and_message_up_to_some_blocks() {
        let bytes: Vec<u8> = (0..300).map(|byte| (byte % 251) as u8).collect();
        for length in 0..=200 {
            let message = &bytes[..length];
            assert_eq!(KeyedHmac::new(b"key").of(&[message]), reference(b"key", &[message]), "{length}");
            assert_eq!(KeyedHmac::new(message).of(&[b"message"]), reference(message, &[b"message"]), "{length}");
        }
    }

    #[test]
    fn two_states_and_nothing_else_are_kept() {
        assert_eq!(size_of::<KeyedHmac>(), 64);
    }

    proptest! {
        #[test]
        fn parts_are_one_message(
            key in prop::collection::vec(any::<u8>(), 0..150),
            parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..6),
        ) {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            let whole = parts.concat();
            let mac = KeyedHmac::new(&key).of(&parts);
            prop_assert_eq!(mac, reference(&key, &parts));
            prop_assert_eq!(mac, KeyedHmac::new(&key).of(&[&whole]));
        }
    }
}
