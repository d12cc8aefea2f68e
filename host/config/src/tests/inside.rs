//! What is just inside a bound is taken, as it stands.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::Folder;
use super::closing::{load, registered};
use crate::{Config, Diagnostic, xml};

fn config(path: &str, text: &str) -> Config {
    let loaded = Folder::new().with(path, text).load();
    loaded.unwrap_or_else(|problems| panic!("{text}: {problems}")).config
}

fn problems(path: &str, text: &str) -> String {
    Folder::new().with(path, text).problems()
}

fn parsed(text: &str) -> Result<xml::Element, String> {
    let file: Arc<Path> = Path::new("x.xml").into();
    xml::parse(&file, text).map_err(|problem| problem.to_string())
}

#[test]
fn a_file_as_large_as_may_be_is_read() {
    let least = "<Root><!--  --></Root>";
    let whole = format!("<Root><!-- {} --></Root>", "x".repeat(1024 * 1024 - least.len()));
    assert_eq!(whole.len(), 1024 * 1024);
    config("Server.xml", &whole);
}

#[test]
fn a_tree_as_deep_and_as_wide_as_may_be_is_read() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(parsed(&nested(32)).is_ok() && parsed(&nested(33)).is_err());
    let wide = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count - 1));
    assert!(parsed(&wide(20_000)).is_ok() && parsed(&wide(20_001)).is_err());
    let attributes = |count: usize| -> String { (0..count).map(|number| format!(" a{number}='{number}'")).collect() };
    assert_eq!(parsed(&format!("<a{}/>", attributes(16))).unwrap().attributes.len(), 16);
    assert!(parsed(&format!("<a{}/>", attributes(17))).is_err());
}

#[test]
fn pieces_of_a_text_are_one_text_and_its_place_is_where_it_begins() {
    let root = parsed("<a>  <b/>\n x &amp;<!-- y --> <![CDATA[<z>]]> &#65; </a>").unwrap();
    assert_eq!((root.text.as_str(), root.text_place.position), ("x & <z> A", Some((2, 2))));
    let empty = parsed("<a>  \n </a>").unwrap();
    assert_eq!((empty.text.as_str(), &empty.text_place), ("", &empty.place));
    assert_eq!(parsed("<a/>\n  \n").unwrap().name, "a");
    assert_eq!(parsed("<a/>\n  x").unwrap_err(), "x.xml:2:3: error: text outside the root element");
    assert_eq!(parsed("\u{feff}<a/>").map(|root| root.name), Ok("a".into()));
}

#[test]
fn encodings_are_taken_by_their_names() {
    for encoding in ["utf-8", "UTF-8", "utf8", "us-ascii", "ASCII", "ISO-8859-1", "windows-1251"] {
        assert!(parsed(&format!("<?xml version='1.0' encoding='{encoding}'?><a/>")).is_ok(), "{encoding}");
    }
    assert!(parsed("<?xml version='1.0'?><a/>").is_ok());
    assert!(
        parsed("<?xml version='1.0' encoding='martian'?><a/>")
            .unwrap_err()
            .contains("the encoding martian is not known")
    );
}

#[test]
fn limits_of_logins_may_be_equal_and_none() {
    let limits = |failures: &str| {
        let text = format!(
            "<Root><Server><Security><LoginLimits><MaxFailures>{failures}</MaxFailures><RecoveryTime>60</RecoveryTime>\
             <LockoutLimit>60</LockoutLimit></LoginLimits></Security></Server></Root>"
        );
        config("Server.xml", &text).server.login_limits
    };
    assert_eq!([limits("0"), limits("1")].map(|limits| limits.max_failures), [None, Some(1)]);
    assert_eq!(limits("1").lockout_limit, Duration::from_secs(60));
}

#[test]
fn a_client_must_have_time_to_be_heard_of() {
    let text = |nat: &str, timeout: u32| {
        format!(
            "<Adaptor><RTMFP><KeepAliveTime><{nat}><Server>100</Server></{nat}></KeepAliveTime>\
             <DeadPeerTimeout>{timeout}</DeadPeerTimeout></RTMFP></Adaptor>"
        )
    };
    for nat in ["NAT", "NoNAT"] {
        assert_eq!(problems("_defaultRoot_/Adaptor.xml", &text(nat, 101)), "");
        assert!(problems("_defaultRoot_/Adaptor.xml", &text(nat, 100)).contains("must be longer"), "{nat}");
    }
}

#[test]
fn an_adaptor_listens_at_64_ports_of_a_list() {
    for (attribute, text) in [("", ":2001-2064"), (" rtmfp=':2001-2064'", "127.0.0.1:1")] {
        let text = format!("<Adaptor><HostPortList><HostPort{attribute}>{text}</HostPort></HostPortList></Adaptor>");
        // By IPv4 and IPv6.
        assert_eq!(config("_defaultRoot_/Adaptor.xml", &text).default_adaptor.listen.len(), 128);
        let more = text.replace("2064", "2065");
        let place = if attribute.is_empty() { "HostPort: 65 ports" } else { "HostPort@rtmfp: 65 ports" };
        assert!(problems("_defaultRoot_/Adaptor.xml", &more).contains(place), "{more}");
    }
}

#[test]
fn ports_that_stand_there_by_default_collide_where_the_element_stands() {
    let text = "<Adaptor><HostPortList>\n<HostPort/>\n<HostPort/></HostPortList></Adaptor>";
    let problems = problems("_defaultRoot_/Adaptor.xml", text);
    let first = "conf/_defaultRoot_/Adaptor.xml:3:1: error: UDP 0.0.0.0:1935 collides with 0.0.0.0:1935 of conf/_defaultRoot_/Adaptor.xml:2:1\n";
    assert!(problems.starts_with(first), "{problems}");
}

#[test]
fn what_may_be_a_password_is_not_repeated_in_any_form() {
    let told = |inner: &str| {
        let text = format!("<Root><UserList><User name='x'>{inner}</User></UserList></Root>");
        problems("Users.xml", &text).lines().last().unwrap().split_once("error: ").unwrap().1.to_owned()
    };
    assert_eq!(told("<Order>yes</Order>"), "UserList/User/Order: must be `Allow,Deny` or `Deny,Allow`");
    let hosts = "UserList/User/Allow: must be host names, whole or partial IP addresses, CIDR blocks or `all`, separated by commas";
    assert_eq!(told("<Allow>192.0.2.1, 10.0.0.0/99</Allow>"), hosts);
    // What names nothing of the value says why.
    assert_eq!(told(&format!("<Allow>{}</Allow>", "r,".repeat(4097))), hosts, "`r` is in the words of that");
    assert_eq!(told(&format!("<Deny>{}</Deny>", "zz9,".repeat(4097))), "UserList/User/Deny: more than 4096 rules");
    let hash = told("<Password encrypt='pbkdf2-sha256'>x1</Password>");
    assert!(hash.starts_with("UserList/User/Password: must be `iterations$salt$hash`: 10000 to 10000000"), "{hash}");
}

#[test]
fn a_value_that_is_no_secret_is_shown_with_what_is_wrong_with_it() {
    let text = "<Root><Server><AdminServer><Allow>10.0.0.0/99</Allow></AdminServer></Server></Root>";
    assert!(problems("Server.xml", text).contains("Allow: `10.0.0.0/99` must end with a number of bits from 0 to 32"));
}

#[test]
fn names_of_hosts_are_the_same_in_capital_letters() {
    let vhost = "<VirtualHost><AliasList><Alias>r\u{e9}sum\u{e9}.test</Alias></AliasList></VirtualHost>";
    let adaptor = config("_defaultRoot_/games.test/Vhost.xml", vhost).default_adaptor;
    for host in ["R\u{c9}SUM\u{c9}.TEST", "r\u{e9}sum\u{e9}.test.", "GAMES.test"] {
        assert_eq!(adaptor.vhost(host).name, "games.test", "{host}");
    }
    assert_eq!(adaptor.vhost("resume.test").name, "_defaultVHost_");
}

#[test]
fn a_closed_application_loads_nothing() {
    let defaults =
        "<Application><LoadOnStartup>true</LoadOnStartup><Plugins><Plugin path='a.so'/></Plugins></Application>";
    let folder = Folder::new()
        .with("_defaultRoot_/_defaultVHost_/Application.xml", defaults)
        .with("lua/torn/Application.xml", "<Application>")
        .with("lua/both/Application.xml", "<Application>")
        .with("lua/both/main.lua", "")
        .with("lua/whole/main.lua", "");
    let loaded = load(&folder).unwrap();
    let of = |name: &str| registered(&loaded, name).unwrap();
    let loads = |name: &str| (of(name).settings.load_on_startup, of(name).settings.plugins.len());
    assert_eq!([loads("torn"), loads("whole")], [(false, 0), (true, 1)]);
    // What is there is known all the same.
    assert_eq!([of("torn").has_file, of("torn").has_script], [true, false]);
    assert_eq!([of("both").has_file, of("both").has_script], [true, true]);
    assert_eq!([of("whole").has_file, of("whole").has_script], [false, true]);
}

#[test]
fn checking_tells_of_an_application_that_is_closed() {
    // Its virtual host looks for applications in a folder that is named in full.
    let folder = Folder::new().with("lua/torn/Application.xml", "<Application>");
    let vhost = format!("<VirtualHost><AppsDir>{}/lua</AppsDir></VirtualHost>", folder.0.path().display());
    let folder = folder.with("_defaultRoot_/_defaultVHost_/Vhost.xml", vhost);
    let loaded = Config::load(Some(&folder.conf())).unwrap();
    let (diagnostics, closed) = (loaded.diagnostics(false), loaded.closed());
    assert!(diagnostics.iter().chain(&closed).all(Diagnostic::is_error), "{diagnostics:?} {closed:?}");
    let ([place], [outcome]) = (&diagnostics[..], &closed[..]) else { panic!("{diagnostics:?} {closed:?}") };
    assert!(place.to_string().ends_with("Application.xml:1:1: error: <Application> is never closed"), "{place}");
    assert_eq!(outcome.to_string(), "error: application torn of _defaultVHost_ rejects clients and lookups");
}

#[test]
fn a_script_may_have_the_name_of_its_folder() {
    let folder = Folder::new().with("lua/club/club.lua", "").with("lua/not/other.lua", "").with("lua/file.lua", "");
    let loaded = load(&folder).unwrap();
    assert!(registered(&loaded, "club").unwrap().has_script);
    assert_eq!(loaded.config.registered().count(), 1);
    assert_eq!(loaded.warnings, []);
}

#[test]
fn an_application_with_a_script_or_plugins_may_leave_everything_to_them() {
    let settings = |plugins: &str| {
        format!("<Application><RTMFP><PeerLookupEvents mode='All'/></RTMFP><Plugins>{plugins}</Plugins></Application>")
    };
    let warnings = |folder: &Folder| load(folder).unwrap().warnings.len();
    let alone = Folder::new().with("lua/club/Application.xml", settings(""));
    assert_eq!(warnings(&alone), 1);
    assert_eq!(warnings(&alone.with("lua/club/main.lua", "")), 0);
    assert_eq!(warnings(&Folder::new().with("lua/club/Application.xml", settings("<Plugin path='a.so'/>"))), 0);
}

#[test]
fn an_application_is_closed_for_what_is_wrong_and_not_for_what_is_odd() {
    let text = "<Application>\n<Process><Scope>app</Scope></Process>\n<MaxAppIdleTime>x</MaxAppIdleTime></Application>";
    let loaded = load(&Folder::new().with("lua/torn/Application.xml", text)).unwrap();
    assert_eq!(loaded.broken[0].problems.len(), 2);
    let why = registered(&loaded, "torn").unwrap().closed.clone().unwrap();
    assert!(why.contains("Application.xml:3:17: MaxAppIdleTime: must be "), "{why}");
}

#[test]
fn relative_paths_count_from_the_folder_that_holds_the_files() {
    let folder = Folder::new();
    assert_eq!(Config::load(Some(&folder.conf())).unwrap().config.root, folder.0.path());
}

#[test]
fn a_file_that_fails_to_be_read_is_told() {
    let folder = Folder::new();
    // A regular file by its looks, without a first byte.
    std::os::unix::fs::symlink("/proc/self/mem", folder.conf().join("Server.xml")).unwrap();
    let problems = folder.problems();
    assert!(problems.starts_with("conf/Server.xml: error: the file cannot be read: "), "{problems}");
}
