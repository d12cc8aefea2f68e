//! Hashes, and codes that prove the knowledge of a key.

use hmac::{EagerHash, Hmac, KeyInit as _, Mac as _};
use md5::Md5;
use mlua::{Error, LuaString, Result};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};

/// After so many bytes the clock is checked.
const PIECE: usize = 1 << 20;

/// A hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hash {
    /// For names that other programs make so. It protects nothing.
    Md5,
    /// For names and codes that other programs make so, as those of TURN servers.
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl Hash {
    /// # Errors
    /// If there is no hash of that name.
    pub(super) fn named(name: &LuaString) -> Result<Self> {
        match &*name.as_bytes() {
            b"md5" => Ok(Self::Md5),
            b"sha1" => Ok(Self::Sha1),
            b"sha256" => Ok(Self::Sha256),
            b"sha384" => Ok(Self::Sha384),
            b"sha512" => Ok(Self::Sha512),
            _ => {
                let name = name.to_string_lossy();
                let message = format!("there is no hash {name:?}: there are sha256, sha384, sha512, sha1 and md5");
                Err(Error::runtime(message))
            }
        }
    }

    /// The hash of a text.
    ///
    /// # Errors
    /// Those of `on_time`, which is asked whether to go on.
    pub(super) fn digest(self, text: &[u8], on_time: &dyn Fn() -> Result<()>) -> Result<Vec<u8>> {
        match self {
            Self::Md5 => digest::<Md5>(text, on_time),
            Self::Sha1 => digest::<Sha1>(text, on_time),
            Self::Sha256 => digest::<Sha256>(text, on_time),
            Self::Sha384 => digest::<Sha384>(text, on_time),
            Self::Sha512 => digest::<Sha512>(text, on_time),
        }
    }

    /// The HMAC (RFC 2104) of a text.
    ///
    /// # Errors
    /// Those of `on_time`, which is asked whether to go on.
    pub(super) fn code(self, key: &[u8], text: &[u8], on_time: &dyn Fn() -> Result<()>) -> Result<Vec<u8>> {
        match self {
            Self::Md5 => code::<Md5>(key, text, on_time),
            Self::Sha1 => code::<Sha1>(key, text, on_time),
            Self::Sha256 => code::<Sha256>(key, text, on_time),
            Self::Sha384 => code::<Sha384>(key, text, on_time),
            Self::Sha512 => code::<Sha512>(key, text, on_time),
        }
    }
}

fn digest<D: Digest>(text: &[u8], on_time: &dyn Fn() -> Result<()>) -> Result<Vec<u8>> {
    on_time()?;
    let mut hash = D::new();
    for piece in text.chunks(PIECE) {
        hash.update(piece);
        on_time()?;
    }
    Ok(hash.finalize().to_vec())
}

fn code<D: EagerHash + Digest>(key: &[u8], text: &[u8], on_time: &dyn Fn() -> Result<()>) -> Result<Vec<u8>> {
    on_time()?;
    // A key that is longer than a block counts as its hash.
    let hashed = if key.len() > PIECE { Some(digest::<D>(key, on_time)?) } else { None };
    let mut code = Hmac::<D>::new_from_slice(hashed.as_deref().unwrap_or(key)).map_err(Error::external)?;
    for piece in text.chunks(PIECE) {
        code.update(piece);
        on_time()?;
    }
    Ok(code.finalize().into_bytes().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 1321, RFC 3174 and FIPS 180, and those of RFC 2202 and RFC 4231.
    #[test]
    fn the_examples_of_the_standards() {
        let hex = |bytes: Result<Vec<u8>>| hex::encode(bytes.unwrap());
        for (hash, digest, code) in [
            (Hash::Md5, "900150983cd24fb0d6963f7d28e17f72", "750c783e6ab0b503eaa86e310a5db738"),
            (Hash::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d", "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
            (
                Hash::Sha256,
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                Hash::Sha384,
                "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
                "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
            ),
            (
                Hash::Sha512,
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
                "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
                 9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ),
        ] {
            assert_eq!(hex(hash.digest(b"abc", &|| Ok(()))), digest, "{hash:?}");
            let text = b"what do ya want for nothing?";
            assert_eq!(hex(hash.code(b"Jefe", text, &|| Ok(()))), code, "{hash:?}");
        }
    }

    #[test]
    fn long_texts_and_keys_are_hashed_in_pieces_with_a_look_at_the_clock() {
        let text = vec![b'x'; 3 * PIECE + 5];
        let checks = std::cell::Cell::new(0);
        let count = || {
            checks.set(checks.get() + 1);
            Ok(())
        };
        assert_eq!(Hash::Sha256.digest(&text, &count).unwrap(), Sha256::digest(&text).to_vec());
        assert_eq!(checks.get(), 5);
        let mut whole = Hmac::<Sha256>::new_from_slice(&text).unwrap();
        whole.update(b"a");
        assert_eq!(Hash::Sha256.code(&text, b"a", &count).unwrap(), whole.finalize().into_bytes().to_vec());
        let late = || Err(Error::runtime("late"));
        assert!(Hash::Sha256.digest(b"", &late).is_err() && Hash::Md5.code(b"", b"", &late).is_err());
    }
}
