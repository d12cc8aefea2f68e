//! Control chunks that wait for a packet of their session.

/// Bytes for which there is room as soon as a chunk waits: those of a forwarded hello, without growing step by step.
const ROOM: usize = 96;
/// How many buffers are kept for sessions that will need one: about as many as chunks that a batch of datagrams causes.
const SPARES: usize = 64;
/// A buffer that has become longer than this is not kept.
const LONGEST_SPARE: usize = 512;

/// Encoded chunks. Nearly all sessions have none nearly always, which takes the place of a pointer.
#[derive(Debug, Default)]
#[expect(clippy::box_collection, reason = "an empty vector takes three pointers")]
pub(super) struct ControlChunks(Option<Box<Vec<u8>>>);

impl ControlChunks {
    /// The chunks of a record.
    pub(super) fn of(chunks: Vec<u8>) -> Self {
        Self((!chunks.is_empty()).then(|| Box::new(chunks)))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Takes a buffer that another session has left, if there is none yet.
    pub(super) fn reuse(&mut self, spares: &mut SpareBuffers) {
        if self.0.is_none() {
            self.0 = spares.0.pop();
        }
    }

    /// Appends what `write` writes, unless it fails or there are more than `max` bytes then.
    pub(super) fn append(&mut self, max: usize, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let chunks = self.0.get_or_insert_with(|| Box::new(Vec::with_capacity(ROOM)));
        let before = chunks.len();
        let fits = write(chunks) && chunks.len() <= max;
        if !fits {
            chunks.truncate(before);
        }
        if chunks.is_empty() {
            self.0 = None;
        }
        fits
    }

    /// Drops the first `passed` bytes. The buffer is left to other sessions if nothing remains in it.
    pub(super) fn drop_first(&mut self, passed: usize, spares: &mut SpareBuffers) {
        let Some(chunks) = &mut self.0 else { return };
        chunks.drain(..passed.min(chunks.len()));
        if chunks.is_empty()
            && let Some(buffer) = self.0.take()
            && buffer.capacity() <= LONGEST_SPARE
            && spares.0.len() < SPARES
        {
            spares.0.push(buffer);
        }
    }
}

/// Buffers without content, for the next sessions that have something to send.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "they move between sessions")]
pub(crate) struct SpareBuffers(Vec<Box<Vec<u8>>>);

#[cfg(test)]
mod tests {
    use super::*;

    fn append(chunks: &mut ControlChunks, length: usize) -> bool {
        chunks.append(1000, |out| {
            out.resize(out.len() + length, 7);
            true
        })
    }

    #[test]
    fn buffers_go_round_and_only_so_many_and_no_long_ones_are_kept() {
        let mut spares = SpareBuffers::default();
        let mut all: Vec<ControlChunks> = (0..2 * SPARES).map(|_| ControlChunks::default()).collect();
        for chunks in &mut all {
            chunks.reuse(&mut spares);
            assert!(chunks.is_empty() && append(chunks, 10));
        }
        let [first, second, ..] = &mut all[..] else { unreachable!() };
        assert!(append(first, 900));
        first.drop_first(910, &mut spares);
        assert!(first.is_empty() && spares.0.is_empty());
        second.drop_first(4, &mut spares);
        assert_eq!((second.bytes(), spares.0.len()), (&[7; 6][..], 0));
        all.iter_mut().for_each(|chunks| chunks.drop_first(10, &mut spares));
        assert_eq!(spares.0.len(), SPARES);
        all[0].reuse(&mut spares);
        assert!(append(&mut all[0], 1) && all[0].bytes() == [7] && spares.0.len() == SPARES - 1);
    }

    #[test]
    fn what_does_not_fit_leaves_the_chunks_as_they_were() {
        let mut chunks = ControlChunks::default();
        assert!(!append(&mut chunks, 1001) && chunks.is_empty());
        assert!(append(&mut chunks, 900) && !append(&mut chunks, 101));
        assert_eq!(chunks.bytes().len(), 900);
        let failed = chunks.append(1000, |out| {
            out.push(1);
            false
        });
        assert!(!failed && chunks.bytes().len() == 900);
        assert_eq!(size_of::<ControlChunks>(), size_of::<usize>());
    }
}
