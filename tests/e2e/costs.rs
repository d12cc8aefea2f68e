//! A client that costs the server as much as it can does not harm others.

use crate::harness::independent;

#[test]
fn a_client_that_holds_messages_at_barriers_does_not_slow_others() {
    let said = independent::run("barriers.py", &["3"]);
    assert!(said.is_none_or(|said| said.contains("served")));
}

#[test]
fn clients_cannot_aim_hellos_at_a_victim() {
    let said = independent::run("aiming.py", &[]);
    assert!(said.is_none_or(|said| said.contains("aimed at nobody")));
}
