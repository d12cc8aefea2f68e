//! When the number of clients has changed by so much that memory is worth a look.

/// By one part in this many.
const PART: usize = 8;

/// Whether so many clients are many more or many fewer than before.
pub(super) fn is_large(before: usize, clients: usize) -> bool {
    before.abs_diff(clients) >= (before.max(clients) / PART).max(1)
}

#[test]
fn an_eighth_of_the_larger_number_is_much() {
    for (before, clients, expected) in
        [(0, 0, false), (0, 1, true), (87, 100, true), (89, 100, false), (1 << 40, 0, true)]
    {
        assert_eq!((is_large(before, clients), is_large(clients, before)), (expected, expected), "{before} {clients}");
    }
}
