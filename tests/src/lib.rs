//! Support for the tests of introd.
