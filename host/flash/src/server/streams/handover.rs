//! The streams of a connection as records, and back.

use super::{Sending, Stream, Streams};
use crate::server::action::Publication;
use crate::server::handover::{PublishingRecord, StreamRecord};
use crate::server::publications::Publishing;

impl Streams {
    pub(in crate::server) fn records(&self) -> Vec<StreamRecord> {
        let record = |stream: &Stream| StreamRecord {
            id: stream.id,
            sending: match stream.sending {
                Sending::None => None,
                Sending::Open => Some(true),
                Sending::Rejected => Some(false),
            },
            publishing: stream.publishing.as_ref().map(|publishing| PublishingRecord {
                number: publishing.publication.number,
                name: publishing.publication.name.clone(),
                kind: publishing.publication.kind.clone(),
                is_allowed: publishing.is_allowed,
            }),
        };
        self.list.iter().map(record).collect()
    }

    pub(in crate::server) fn from_records(records: Vec<StreamRecord>, last_publication: u64) -> Self {
        let stream = |record: StreamRecord| Stream {
            id: record.id,
            sending: match record.sending {
                None => Sending::None,
                Some(true) => Sending::Open,
                Some(false) => Sending::Rejected,
            },
            publishing: record.publishing.map(|publishing| {
                let PublishingRecord { number, name, kind, is_allowed } = publishing;
                Box::new(Publishing { publication: Publication { number, name, kind }, is_allowed })
            }),
        };
        Self { list: records.into_iter().map(stream).collect(), last_publication }
    }
}
