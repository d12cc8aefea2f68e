//! The keys of a session as records, and back.

use std::num::NonZeroU8;

use super::block::{DecryptKey, EncryptKey};
use super::{Opener, Sealer, TruncatedHmac};
use crate::crypto::keyed_hmac::KeyedHmac;
use crate::crypto::replay::ReplayWindow;
use crate::handover::{HmacRecord, MAX_NUMBER, OpenerRecord, SealerRecord, StateError};

/// The longest HMAC.
const MAX_HMAC: u8 = 32;

impl TruncatedHmac {
    fn record(&self) -> HmacRecord {
        HmacRecord { keyed: self.keyed.write(), length: self.length.get() }
    }

    fn from_record(record: &HmacRecord) -> Result<Self, StateError> {
        let length = NonZeroU8::new(record.length).filter(|length| length.get() <= MAX_HMAC);
        let parts = KeyedHmac::read(&record.keyed).zip(length);
        parts.map(|(keyed, length)| Self { keyed, length }).ok_or(StateError::Invalid("an HMAC"))
    }
}

impl Sealer {
    /// `None` for the startup pseudo-session, which has no keys of its own.
    pub(crate) fn record(&self) -> Option<SealerRecord> {
        let EncryptKey::Session(key) = &self.key else { return None };
        let hmac = self.hmac.as_ref().map(TruncatedHmac::record);
        Some(SealerRecord { key: **key, hmac, next_sequence: self.next_sequence() })
    }

    pub(crate) fn from_record(record: &SealerRecord) -> Result<Self, StateError> {
        let hmac = record.hmac.as_ref().map(TruncatedHmac::from_record).transpose()?;
        if record.next_sequence.is_some_and(|number| number > MAX_NUMBER) {
            return Err(StateError::Invalid("a session sequence number"));
        }
        let (is_numbered, next_number) = (record.next_sequence.is_some(), record.next_sequence.unwrap_or(0));
        Ok(Self { key: EncryptKey::new(&record.key), hmac, is_numbered, next_number })
    }
}

impl Opener {
    /// `None` for the startup pseudo-session, which has no keys of its own.
    pub(crate) fn record(&self) -> Option<OpenerRecord> {
        let DecryptKey::Session(key) = &self.key else { return None };
        let hmac = self.hmac.as_ref().map(TruncatedHmac::record);
        Some(OpenerRecord { key: **key, hmac, window: self.is_numbered.then(|| self.window.record()) })
    }

    pub(crate) fn from_record(record: &OpenerRecord) -> Result<Self, StateError> {
        let hmac = record.hmac.as_ref().map(TruncatedHmac::from_record).transpose()?;
        let window = record.window.as_ref().map(ReplayWindow::from_record).transpose()?;
        let (is_numbered, window) = (window.is_some(), window.unwrap_or_default());
        Ok(Self { key: DecryptKey::new(&record.key), hmac, is_numbered, window })
    }
}
