//! How many newcomers' packets an endpoint still takes.

/// The packets that are still taken of those who have no session.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewcomerShare {
    /// Hellos that select the endpoint.
    hellos: u32,
    /// Keyings of initiators.
    keyings: u32,
}

impl NewcomerShare {
    /// So many of each kind.
    pub(super) fn new(most: u32) -> Self {
        Self { hellos: most, keyings: most }
    }

    /// Takes a hello's place. False if there is none.
    pub(super) fn take_hello(&mut self) -> bool {
        take(&mut self.hellos)
    }

    /// Takes a keying's place. False if there is none.
    pub(super) fn take_keying(&mut self) -> bool {
        take(&mut self.keyings)
    }
}

fn take(places: &mut u32) -> bool {
    let left = places.checked_sub(1);
    *places = left.unwrap_or(0);
    left.is_some()
}
