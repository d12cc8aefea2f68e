//! The host's side of native plugins, with libraries that behave and libraries that do not.

mod registry;
