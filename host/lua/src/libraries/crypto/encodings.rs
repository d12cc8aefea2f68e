//! Bytes as text: hexadecimal digits and the two alphabets of base64.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use mlua::{Error, LuaString, Result};

/// Padding is read if it is there.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
const BASE64: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
/// Written without padding, as in tokens and URLs.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT.with_encode_padding(false));

/// How bytes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Hex,
    Base64,
    Base64Url,
    /// As they are.
    Raw,
}

impl Encoding {
    /// # Errors
    /// If there is no encoding of that name.
    pub(super) fn named(name: &LuaString) -> Result<Self> {
        match &*name.as_bytes() {
            b"hex" => Ok(Self::Hex),
            b"base64" => Ok(Self::Base64),
            b"base64url" => Ok(Self::Base64Url),
            b"raw" => Ok(Self::Raw),
            _ => {
                let name = name.to_string_lossy();
                Err(Error::runtime(format!("there is no encoding {name:?}: there are hex, base64, base64url and raw")))
            }
        }
    }

    pub(super) fn encode(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Hex => hex::encode(bytes).into_bytes(),
            Self::Base64 => BASE64.encode(bytes).into_bytes(),
            Self::Base64Url => BASE64URL.encode(bytes).into_bytes(),
            Self::Raw => bytes.to_vec(),
        }
    }

    /// The length of so many bytes when they are encoded, or a little more.
    pub(super) fn encoded_length(self, bytes: usize) -> usize {
        match self {
            Self::Hex => bytes.saturating_mul(2),
            Self::Base64 | Self::Base64Url => (bytes / 3 + 1).saturating_mul(4),
            Self::Raw => bytes,
        }
    }

    /// # Errors
    /// Why the text is none of this encoding.
    pub(super) fn decode(self, text: &[u8]) -> std::result::Result<Vec<u8>, String> {
        match self {
            Self::Hex => hex::decode(text).map_err(|error| format!("this is not hex: {error}")),
            Self::Base64 => BASE64.decode(text).map_err(|error| format!("this is not base64: {error}")),
            Self::Base64Url => BASE64URL.decode(text).map_err(|error| format!("this is not base64url: {error}")),
            Self::Raw => Ok(text.to_vec()),
        }
    }
}
