//! Who decides: the policies that an application's lookups, connects and groups pass.

pub mod lua;
pub mod native;
