//! The methods of the server itself that clients may call.

/// A method that each client may call, whatever its application is. If the script of the application defines a function of that name, the
/// function is called instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerMethod {
    /// `introd.connectivity`: what the server sees of the client's network.
    Connectivity,
}

impl ServerMethod {
    /// The method that a client calls by that name, if it is one of the server's.
    pub fn named(name: &str) -> Option<Self> {
        (name == "introd.connectivity").then_some(Self::Connectivity)
    }
}
