//! The classes of events, each of which has room of its own.

/// A class of events. Each worker keeps those of a class apart, so that many events of one class forget none of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum EventClass {
    /// Clients that connect, report addresses, move or go.
    Clients,
    /// Connects and joins that are refused.
    Refusals,
    /// Lookups, and what came of them.
    Lookups,
    /// Pairs that did not meet.
    Unmet,
    /// Joins, leaves and hints of groups.
    Groups,
}

impl EventClass {
    /// All classes.
    pub const ALL: [Self; 5] = [Self::Clients, Self::Refusals, Self::Lookups, Self::Unmet, Self::Groups];

    /// Its part of the room, in sixteenths.
    pub(super) fn share(self) -> usize {
        match self {
            Self::Clients => 5,
            Self::Refusals => 2,
            Self::Lookups => 5,
            Self::Unmet => 1,
            Self::Groups => 3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_a_whole_and_each_class_has_its_place() {
        assert_eq!(EventClass::ALL.into_iter().map(EventClass::share).sum::<usize>(), 16);
        for (place, class) in EventClass::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, place);
        }
    }
}
