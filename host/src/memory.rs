//! Gives memory back to the system.
//!
//! This is the only `unsafe` of this crate, and stands here because no crate wraps the C library's function. What needs it, such as
//! the Lua host, receives it as a hook: a library should not decide about the memory of the whole process.

/// Makes the allocator return free memory to the system. glibc keeps free memory that lies below memory in use until it is told to
/// return it. With other C libraries this does nothing.
#[allow(unsafe_code, reason = "no crate wraps malloc_trim")]
pub(crate) fn return_freed_memory() {
    // SAFETY: takes no pointer, may be called by any thread at any time, and takes the allocator's own locks.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
