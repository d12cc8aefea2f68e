//! The keys of a session as records, and back.

use super::block::{DecryptKey, EncryptKey};
use super::{Opener, Sealer, TruncatedHmac};
use crate::crypto::keyed_hmac::KeyedHmac;
use crate::crypto::replay::ReplayWindow;
use crate::handover::{HmacRecord, MAX_NUMBER, OpenerRecord, SealerRecord, StateError};

/// The longest HMAC.
const MAX_HMAC: u8 = 32;

impl TruncatedHmac {
    fn record(&self) -> HmacRecord {
        HmacRecord { keyed: self.keyed.write(), length: self.length }
    }

    fn from_record(record: &HmacRecord) -> Result<Self, StateError> {
        let keyed = KeyedHmac::read(&record.keyed).filter(|_| (1..=MAX_HMAC).contains(&record.length));
        keyed.map(|keyed| Self { keyed, length: record.length }).ok_or(StateError::Invalid("an HMAC"))
    }
}

impl Sealer {
    /// `None` for the startup pseudo-session, which has no keys of its own.
    pub(crate) fn record(&self) -> Option<SealerRecord> {
        let EncryptKey::Session(key) = &self.key else { return None };
        let hmac = self.hmac.as_ref().map(TruncatedHmac::record);
        Some(SealerRecord { key: **key, hmac, next_sequence: self.next_sequence })
    }

    pub(crate) fn from_record(record: &SealerRecord) -> Result<Self, StateError> {
        let hmac = record.hmac.as_ref().map(TruncatedHmac::from_record).transpose()?;
        if record.next_sequence.is_some_and(|number| number > MAX_NUMBER) {
            return Err(StateError::Invalid("a session sequence number"));
        }
        Ok(Self { key: EncryptKey::new(&record.key), hmac, next_sequence: record.next_sequence })
    }
}

impl Opener {
    /// `None` for the startup pseudo-session, which has no keys of its own.
    pub(crate) fn record(&self) -> Option<OpenerRecord> {
        let DecryptKey::Session(key) = &self.key else { return None };
        let hmac = self.hmac.as_ref().map(TruncatedHmac::record);
        Some(OpenerRecord { key: **key, hmac, window: self.window.as_ref().map(ReplayWindow::record) })
    }

    pub(crate) fn from_record(record: &OpenerRecord) -> Result<Self, StateError> {
        let hmac = record.hmac.as_ref().map(TruncatedHmac::from_record).transpose()?;
        let window = record.window.as_ref().map(ReplayWindow::from_record).transpose()?;
        Ok(Self { key: DecryptKey::new(&record.key), hmac, window })
    }
}
