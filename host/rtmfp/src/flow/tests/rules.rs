//! Single rules, checked chunk by chunk.
