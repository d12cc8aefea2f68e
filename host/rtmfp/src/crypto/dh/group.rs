//! The groups.

/// A group this implementation can compute in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Group {
    /// Group 2, 1024 bits: the one that every implementation must know (RFC 7425 §4.2).
    Modp2,
    /// Group 5, 1536 bits.
    Modp5,
    /// Group 14, 2048 bits.
    Modp14,
    /// Group 16, 4096 bits.
    Modp16,
}

impl Group {
    /// All of them, the smallest first.
    pub const ALL: [Self; 4] = [Self::Modp2, Self::Modp5, Self::Modp14, Self::Modp16];

    /// The group of this number on the wire, if it is known here.
    pub fn from_id(id: u64) -> Option<Self> {
        match id {
            2 => Some(Self::Modp2),
            5 => Some(Self::Modp5),
            14 => Some(Self::Modp14),
            16 => Some(Self::Modp16),
            _ => None,
        }
    }

    /// The group's number on the wire.
    pub fn id(self) -> u64 {
        match self {
            Self::Modp2 => 2,
            Self::Modp5 => 5,
            Self::Modp14 => 14,
            Self::Modp16 => 16,
        }
    }

    /// The length of the group's prime in bytes, and of a public key of full length.
    pub fn prime_len(self) -> usize {
        match self {
            Self::Modp2 => 128,
            Self::Modp5 => 192,
            Self::Modp14 => 256,
            Self::Modp16 => 512,
        }
    }

    /// The length of the private keys that [`KeyPair::generate`](super::KeyPair::generate) makes, in bits.
    ///
    /// The primes are safe primes, so an exponent of twice the strength of the group loses nothing. RFC 3526 §8 estimates
    /// (its higher estimate, doubled) 240 bits for group 5, 320 for group 14 and 480 for group 16. Group 2 is below that
    /// table; 224 bits is the least subgroup order that NIST SP 800-56A allows anywhere, well above the 80 bits of strength
    /// credited to 1024-bit groups.
    pub fn private_bits(self) -> u32 {
        match self {
            Self::Modp2 => 224,
            Self::Modp5 => 256,
            Self::Modp14 => 320,
            Self::Modp16 => 480,
        }
    }
}
