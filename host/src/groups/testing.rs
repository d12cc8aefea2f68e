//! What the tests of groups share.

use std::convert::Infallible;

use rand_core::TryRng;

/// Draws zeros, and counts how often: of a ring it always gives the first member.
#[derive(Default)]
pub(super) struct Zeros(pub(super) usize);

impl TryRng for Zeros {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0 += 1;
        Ok(0)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0 += 1;
        Ok(0)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0 += 1;
        bytes.fill(0);
        Ok(())
    }
}
