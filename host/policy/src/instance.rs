//! How application instances are named.

use std::fmt;

use introd_flash::uri::DEFAULT_NAME;

/// The number of an instance. It is used again after the instance has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(pub u16);

/// The name of an instance.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceName {
    /// The adaptor through which its clients come.
    pub adaptor: String,
    /// The virtual host.
    pub vhost: String,
    /// The application: the first part of the path.
    pub application: String,
    /// The instance: the rest of the path, or `_definst_`.
    pub instance: String,
}

impl InstanceName {
    /// The instance of an application for clients whose path names no instance.
    pub fn first(adaptor: &str, vhost: &str, application: &str) -> Self {
        Self {
            adaptor: adaptor.to_owned(),
            vhost: vhost.to_owned(),
            application: application.to_owned(),
            instance: DEFAULT_NAME.to_owned(),
        }
    }

    /// Whether this is the instance for clients whose path names none.
    pub fn is_first(&self) -> bool {
        self.instance == DEFAULT_NAME
    }
}

impl fmt::Display for InstanceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.application, self.instance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_instance_without_a_name_of_its_own_is_the_first() {
        let first = InstanceName::first("a", "v", "app");
        assert!(first.is_first());
        assert_eq!(first.to_string(), "app/_definst_");
        assert!(!InstanceName { instance: "room".to_owned(), ..first }.is_first());
    }
}
