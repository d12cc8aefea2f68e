//! What every function that plugins call does: no panic reaches the plugin's frames.

use std::panic::{AssertUnwindSafe, catch_unwind};

use introd_plugin::abi;

/// Runs what a plugin asks of the host; gives `otherwise` where that comes to nothing. Nothing here should panic; if something does, it
/// must not reach the plugin's frames.
pub(super) fn guarded<R: Copy>(otherwise: R, work: impl FnOnce() -> Option<R>) -> R {
    catch_unwind(AssertUnwindSafe(work)).ok().flatten().unwrap_or(otherwise)
}

/// The status for something that goes to another part of the server, or that found no room there.
pub(super) fn sent(is_sent: bool) -> i32 {
    if is_sent { abi::INTROD_OK } else { abi::INTROD_E_FULL }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_host_is_an_error_to_the_plugin() {
        assert_eq!(guarded(7, || Some(1)), 1);
        assert_eq!(guarded(7, || None), 7);
        assert_eq!(guarded(7, || panic!("the test demands it")), 7);
        assert_eq!((sent(true), sent(false)), (abi::INTROD_OK, abi::INTROD_E_FULL));
    }
}
