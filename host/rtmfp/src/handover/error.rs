//! Why a state is not taken over.

/// Why an endpoint does not go on with a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A record contradicts itself or another one. The text names it.
    #[error("the state of the sessions contradicts itself: {0}")]
    Invalid(&'static str),
    /// The state has more than the endpoint's settings allow.
    #[error("the state has {found} {what}, and the settings allow {allowed}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        allowed: usize,
    },
    /// The endpoint has sessions of its own already.
    #[error("the endpoint has sessions of its own")]
    NotEmpty,
    /// The state is that of an endpoint with another prefix: the ids of its sessions say that another worker has them.
    #[error("the state is that of the endpoint with the prefix {found}, and this one has the prefix {own}")]
    Prefix {
        /// The prefix in the state.
        found: u8,
        /// The prefix of the endpoint.
        own: u8,
    },
}
