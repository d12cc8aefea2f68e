//! Proofs that a peer knows the groupspec (WIRE.md §3.3).
//!
//! The proof that X sends to Y is HMAC-SHA256 with the canonical groupspec as key, over HMAC-SHA256 with the Diffie-Hellman secret of the
//! session as key over Y's session key component. The inner hash is Y's near nonce (RFC 7425 §4.6.5), which is X's far nonce. So a peer
//! makes its proof of its far nonce, and checks the far end's proof with its near nonce. The groupspec is never sent, and a proof
//! is of no use in another session.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use crate::groupspec::Groupspec;

/// Makes and checks the proofs of one group. It is as secret as the groupspec, since it holds the key made of it.
#[derive(Clone)]
pub struct Prover(Hmac<Sha256>);

impl Prover {
    /// A prover for a group.
    pub fn new(group: &Groupspec) -> Self {
        // RFC 2104 §2: a key is padded with zeros to the length of a block; one longer than that is hashed first.
        let key = group.canonical().as_bytes();
        let mut block = [0; 64];
        match block.get_mut(..key.len()) {
            Some(start) => start.copy_from_slice(key),
            None => block[..32].copy_from_slice(&Sha256::digest(key)),
        }
        Self(Hmac::new((&block).into()))
    }

    /// A key for something else, made of the groupspec. The label must not be as long as a nonce: such keys and proofs never meet.
    pub(crate) fn derive(&self, label: &[u8]) -> [u8; 32] {
        debug_assert_ne!(label.len(), 32);
        self.0.clone().chain_update(label).finalize().into_bytes().into()
    }

    /// The proof to send to the far end of a session.
    pub fn prove(&self, far_nonce: &[u8; 32]) -> [u8; 32] {
        self.0.clone().chain_update(far_nonce).finalize().into_bytes().into()
    }

    /// Whether the proof of a session's far end shows that it knows the groupspec. The time this takes does not depend on the proof.
    pub fn accepts(&self, near_nonce: &[u8; 32], proof: &[u8; 32]) -> bool {
        self.0.clone().chain_update(near_nonce).verify_slice(proof).is_ok()
    }
}

impl std::fmt::Debug for Prover {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prover")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::groupspec::GroupSpecifier;

    #[test]
    fn a_proof_is_for_one_group_and_one_session() {
        let long = "n".repeat(200);
        let groups = ["a", "b", &long].map(|name| GroupSpecifier::new(name).unwrap().with_authorizations().unwrap());
        let [a, b, c] = [0, 1, 2].map(|at| Prover::new(&groups[at]));
        let proof = a.prove(&[1; 32]);
        assert!(a.accepts(&[1; 32], &proof));
        assert!(!a.accepts(&[2; 32], &proof));
        assert!(!b.accepts(&[1; 32], &proof) && !c.accepts(&[1; 32], &proof));
        for at in 0..32 {
            let mut changed = proof;
            changed[at] ^= 1;
            assert!(!a.accepts(&[1; 32], &changed));
        }
        // A key longer than a block.
        let reference = Hmac::<Sha256>::new_from_slice(groups[2].canonical().as_bytes()).unwrap();
        let expected: [u8; 32] = reference.chain_update([5; 32]).finalize().into_bytes().into();
        assert_eq!(c.prove(&[5; 32]), expected);
    }
}
