//! A whole endpoint among strangers.
//!
//! The endpoint serves one honest client, and the input says what everybody else does: datagrams of noise, packets of session
//! startup, packets of sessions that are really open, copies of what went over the wire before; and when, and what the endpoint's
//! own application does meanwhile. Time is virtual and the network to the honest client loses nothing.
//!
//! What must hold: nothing panics; the endpoint comes to rest after everything that happens, and never wants to be woken in the
//! past; its sessions stay within their number; everything that it sends can be opened and read by the end that it is for; a stranger
//! earns few bytes with each; and the honest client's session goes on working.

mod attacker;
mod link;
mod packets;
mod world;

use super::input::Input;
use world::World;

/// The most things that happen in one run.
const MAX_ACTIONS: usize = 128;

/// Takes the bytes for the endpoint's settings, then for a sequence of things that happen.
pub fn run(bytes: &[u8]) {
    play(bytes).assert_serves();
}

fn play(bytes: &[u8]) -> World {
    let mut input = Input::new(bytes);
    let mut world = World::new(input.u8());
    if input.flag() {
        attacker::open_session(&mut world, &mut input);
    }
    for _ in 0..MAX_ACTIONS {
        if input.is_empty() {
            break;
        }
        attacker::act(&mut world, &mut input);
    }
    world
}

#[cfg(test)]
mod tests {
    use super::*;
    use rtmfp::wire::Mode;

    /// The committed inputs get to where it matters: a target that everything bounces off would find nothing.
    #[test]
    fn the_corpus_reaches_open_sessions() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/endpoint");
        let (mut responded, mut initiated, mut received, mut sent, mut asked) = (0, 0, 0, 0, 0);
        for entry in std::fs::read_dir(folder).unwrap() {
            let world = play(&std::fs::read(entry.unwrap().path()).unwrap());
            for link in &world.links[1..] {
                match link.mode {
                    Mode::Initiator => responded += 1,
                    _ => initiated += 1,
                }
                received += link.receiving.len();
                sent += link.sending.len();
            }
            asked += world.lookups.len();
        }
        let reached = [responded, initiated, received, sent, asked];
        assert!(reached.iter().all(|count| *count > 0), "{reached:?}");
    }
}
