//! Hosts that access rules name are looked up wherever such rules may stand.

use std::net::IpAddr;

use super::Folder;
use crate::{Config, UnknownHost};

/// A configuration with a name of its own in each place.
fn named() -> Config {
    let folder = Folder::new()
        .with("Server.xml", "<Root><Server><AdminServer><Allow>admin.test</Allow></AdminServer></Server></Root>")
        .with("Users.xml", "<Root><UserList><User name='a'><Deny>user.test</Deny></User></UserList></Root>")
        .with("_defaultRoot_/Adaptor.xml", "<Adaptor><Allow>adaptor.test</Allow></Adaptor>")
        .with("_defaultRoot_/_defaultVHost_/Vhost.xml", "<VirtualHost><Deny>vhost.test</Deny></VirtualHost>")
        .with("_defaultRoot_/b.example/Vhost.xml", "<VirtualHost><Allow>other.test</Allow></VirtualHost>")
        .with(
            "inside/Adaptor.xml",
            "<Adaptor><HostPortList><HostPort>:1936</HostPort></HostPortList><Allow>adaptor.test</Allow></Adaptor>",
        )
        .with("inside/_defaultVHost_/Vhost.xml", "<VirtualHost><Allow>gone.test, gone.test</Allow></VirtualHost>");
    folder.load().unwrap().config
}

#[test]
fn names_are_looked_up_in_all_files() {
    let mut config = named();
    let address: IpAddr = "192.0.2.7".parse().unwrap();
    let lookup = |name: &str| if name == "gone.test" { vec![] } else { vec![address] };
    let gone = UnknownHost { of: "virtual host _defaultVHost_".into(), name: "gone.test".into(), is_denied: false };
    // It is told once, though two rules name it.
    assert_eq!(config.resolve_hosts_with(&lookup), [gone]);
    let [inside] = config.adaptors.as_slice() else { panic!("one more adaptor") };
    let default = &config.default_adaptor;
    for (access, may_come) in [
        (&config.server.admin.access, true),
        (&config.users.users[0].access, false),
        (&default.access, true),
        (&default.default_vhost.access, false),
        (&default.vhosts[0].access, true),
        (&inside.access, true),
        (&inside.default_vhost.access, false),
    ] {
        assert_eq!(access.permits(address), may_come, "{access}");
    }
}

#[test]
fn all_names_without_an_address_are_told_with_their_places() {
    let unknown = named().resolve_hosts_with(&|_| vec![]);
    let told: Vec<_> = unknown.iter().map(|host| (host.of.as_str(), host.name.as_str(), host.is_denied)).collect();
    assert_eq!(
        told,
        [
            ("adaptor _defaultRoot_", "adaptor.test", false),
            ("adaptor inside", "adaptor.test", false),
            ("an administrator", "user.test", true),
            ("the administration", "admin.test", false),
            ("virtual host _defaultVHost_", "gone.test", false),
            ("virtual host _defaultVHost_", "vhost.test", true),
            ("virtual host b.example", "other.test", false),
        ]
    );
}

#[test]
fn the_public_host_is_looked_up_and_is_no_rule() {
    let server = "<Root><Server><PublicIP>home.test</PublicIP></Server></Root>";
    let mut config = Folder::new().with("Server.xml", server).load().unwrap().config;
    let address: IpAddr = "203.0.113.7".parse().unwrap();
    let public = |config: &Config| config.server.public_ip.as_ref().unwrap().addresses().to_vec();
    assert!(public(&config).is_empty());
    assert_eq!(config.resolve_hosts_with(&|name| if name == "home.test" { vec![address] } else { vec![] }), []);
    assert_eq!(public(&config), [address]);
    assert_eq!(config.resolve_hosts_with(&|_| vec![]), []);
    assert!(public(&config).is_empty());
}

#[test]
fn the_hosts_of_a_configuration_are_looked_up_by_the_system() {
    let rules = "<Adaptor><Allow>localhost</Allow></Adaptor>";
    let mut config = Folder::new().with("_defaultRoot_/Adaptor.xml", rules).load().unwrap().config;
    assert_eq!(config.resolve_hosts(), []);
    let is_in = |address: &str| config.default_adaptor.access.permits(address.parse().unwrap());
    assert!((is_in("127.0.0.1") || is_in("::1")) && !is_in("192.0.2.1"));
}

#[test]
fn a_public_address_that_leads_others_to_themselves_is_said() {
    for (address, is_said) in [("127.0.0.1", true), ("::1", true), ("192.0.2.1", false), ("home.test", false)] {
        let server = format!("<Root><Server><PublicIP>{address}</PublicIP></Server></Root>");
        let warnings = Folder::new().with("Server.xml", server).load().unwrap().warnings;
        assert_eq!(
            warnings.iter().filter(|warning| warning.message.contains("to itself")).count(),
            usize::from(is_said),
            "{address}"
        );
    }
}
