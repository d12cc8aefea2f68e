//! The server before clients that share no code with it.

use crate::harness::independent;

#[test]
fn independent_clients_are_introduced() {
    let said = independent::run("meeting.py", &[]);
    assert!(said.is_none_or(|said| said.contains("met")));
}
