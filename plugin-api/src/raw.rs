//! Reading the raw values of the ABI, and making them.

use std::slice;

use crate::abi::introd_bytes;

/// The function in a field of a table; `None` if the field is null, or the table is older than the field.
///
/// # Safety
/// `$table` points to a table that is valid for `struct_size` bytes.
macro_rules! function {
    ($table:expr, $type:ty, $field:ident) => {{
        let table: *const $type = $table;
        // SAFETY: every table begins with its size, and the field lies within it where it is read.
        let is_there = unsafe { (*table).struct_size as usize }
            >= std::mem::offset_of!($type, $field) + size_of::<Option<extern "C" fn()>>();
        // SAFETY: as above.
        if is_there { unsafe { (*table).$field } } else { None }
    }};
}
pub(crate) use function;

/// A struct from a host of an older minor version, with zeros in the fields that the host does not know.
///
/// # Safety
/// `raw` points to a struct that begins with its size in bytes, and any prefix of `T` followed by zeros is valid.
pub(crate) unsafe fn filled_up<T: Copy>(raw: *const T) -> T {
    // SAFETY: the caller says so: the size stands first.
    let size = unsafe { *raw.cast::<u32>() } as usize;
    let mut whole = std::mem::MaybeUninit::<T>::zeroed();
    // SAFETY: both are valid for so many bytes, and do not overlap.
    unsafe {
        std::ptr::copy_nonoverlapping(raw.cast::<u8>(), whole.as_mut_ptr().cast::<u8>(), size.min(size_of::<T>()));
    }
    // SAFETY: the caller says so.
    unsafe { whole.assume_init() }
}

/// The bytes of a view. A null pointer means none.
///
/// # Safety
/// The memory is valid, and does not change, as long as the result is used.
pub(crate) unsafe fn bytes<'a>(raw: introd_bytes) -> &'a [u8] {
    if raw.ptr.is_null() || raw.len == 0 {
        return &[];
    }
    // SAFETY: the caller says so.
    unsafe { slice::from_raw_parts(raw.ptr, raw.len) }
}

/// The text of a view; empty if it is not UTF-8.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn text<'a>(raw: introd_bytes) -> &'a str {
    // SAFETY: the caller says so.
    std::str::from_utf8(unsafe { bytes(raw) }).unwrap_or_default()
}

/// An array of the ABI as a slice. A null pointer means no elements.
///
/// # Safety
/// As [`bytes`].
pub(crate) unsafe fn array<'a, T>(ptr: *const T, len: usize) -> &'a [T] {
    if ptr.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: the caller says so.
    unsafe { slice::from_raw_parts(ptr, len) }
}

/// A view of these bytes for the other side to read.
pub(crate) const fn raw(bytes: &[u8]) -> introd_bytes {
    introd_bytes { ptr: bytes.as_ptr(), len: bytes.len() }
}
