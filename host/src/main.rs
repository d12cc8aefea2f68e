//! The `introd` program.

fn main() {}
