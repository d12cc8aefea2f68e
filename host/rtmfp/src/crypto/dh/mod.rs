//! Diffie-Hellman in the MODP groups (RFC 7425 §4.2, §4.6.2).

mod arithmetic;
mod batch;
mod comb;
#[cfg(target_arch = "x86_64")]
mod eights;
mod group;
mod key_pair;
mod montgomery;
mod primes;
#[cfg(test)]
mod reference;

pub(super) use arithmetic::check_public_key;
pub use group::Group;
pub use key_pair::{KeyPair, SharedSecret};
