use axum::http::{HeaderMap, Uri, header};
use introd_config::{Password, User};

use super::*;
use crate::admin::query::Query;

const LOCAL: &str = "127.0.0.1";
const FAR: &str = "192.0.2.9";

fn config(change: impl FnOnce(&mut Config)) -> Arc<Config> {
    let mut config = Config::built_in();
    change(&mut config);
    Arc::new(config)
}

/// A configuration with these users and passwords.
fn with_users(users: &[(&str, &str)]) -> Arc<Config> {
    config(|config| {
        let template = config.users.users[0].clone();
        let user = |(name, password): &(&str, &str)| User {
            name: (*name).to_owned(),
            password: Some(Password::Plain((*password).to_owned())),
            ..template.clone()
        };
        config.users.users = users.iter().map(user).collect();
    })
}

fn caller(from: &str, uri: &str, more: &[(header::HeaderName, &str)]) -> Caller {
    let uri: Uri = uri.parse().unwrap();
    let mut headers = HeaderMap::new();
    headers.insert(header::HOST, "127.0.0.1:1111".parse().unwrap());
    for (name, value) in more {
        headers.insert(name, value.parse().unwrap());
    }
    let query = Query::parse(uri.query().unwrap_or_default());
    Caller::new(from.parse().unwrap(), &uri, &headers, &query)
}

async fn admit(gate: &Gate, config: &Arc<Config>, caller: &Caller) -> [Option<Denied>; 3] {
    let mut results = [const { None }; 3];
    for (result, wish) in results.iter_mut().zip([Wish::Health, Wish::Read, Wish::Act]) {
        *result = gate.admit(config, caller, wish).await.err();
    }
    results
}

#[tokio::test]
async fn without_passwords_this_machine_may_read_and_nobody_may_act() {
    let (gate, config) = (Gate::new(None), config(|_| ()));
    assert_eq!(admit(&gate, &config, &caller(LOCAL, "/", &[])).await, [None, None, Some(Denied::NoPasswords)]);
    let elsewhere = || Some(Denied::Elsewhere);
    assert_eq!(admit(&gate, &config, &caller(FAR, "/", &[])).await, [elsewhere(), elsewhere(), elsewhere()]);
    let failed = || Some(Denied::LoginFailed("admin".to_owned()));
    let guess = caller(LOCAL, "/?auser=admin&apswd=", &[]);
    assert_eq!(admit(&gate, &config, &guess).await, [None, failed(), failed()], "an empty password is none");
}

#[tokio::test]
async fn with_passwords_reading_takes_one_from_anywhere() {
    let (gate, config) = (Gate::new(None), with_users(&[("admin", "s3cret"), ("other", "word")]));
    let needed = || Some(Denied::LoginNeeded);
    for from in [LOCAL, FAR] {
        assert_eq!(admit(&gate, &config, &caller(from, "/", &[])).await, [None, needed(), needed()]);
        for right in ["/?auser=admin&apswd=s3cret", "/?auser=other&apswd=word"] {
            assert_eq!(admit(&gate, &config, &caller(from, right, &[])).await, [None, None, None]);
        }
        // A browser sends those of a header by itself: acting takes them in the query.
        let header = caller(from, "/", &[(header::AUTHORIZATION, "Basic YWRtaW46czNjcmV0")]);
        assert_eq!(admit(&gate, &config, &header).await, [None, None, Some(Denied::NotExplicit)]);
    }
    let swapped = caller(LOCAL, "/?auser=admin&apswd=word", &[]);
    assert_eq!(gate.admit(&config, &swapped, Wish::Read).await, Err(Denied::LoginFailed("admin".to_owned())));
    let unknown = caller(LOCAL, "/?auser=nobody&apswd=s3cret", &[]);
    assert_eq!(gate.admit(&config, &unknown, Wish::Read).await, Err(Denied::LoginFailed("nobody".to_owned())));
}

#[tokio::test]
async fn access_rules_of_the_administration_and_of_each_user_hold() {
    let gate = Gate::new(None);
    let only = |text: &str| {
        let rules = format!("<Root><Server><AdminServer><Allow>{text}</Allow></AdminServer></Server></Root>");
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("Server.xml"), rules).unwrap();
        Config::load(Some(folder.path())).unwrap().config.server.admin.access
    };
    let near = only(LOCAL);
    let config = config(|config| {
        config.users.users[0].password = Some(Password::Plain("s3cret".to_owned()));
        let mut restricted = config.users.users[0].clone();
        (restricted.name, restricted.access) = ("local".to_owned(), near.clone());
        config.users.users.push(restricted);
    });
    let local = |from| caller(from, "/?auser=local&apswd=s3cret", &[]);
    assert_eq!(gate.admit(&config, &local(LOCAL), Wish::Act).await, Ok(()));
    assert_eq!(gate.admit(&config, &local(FAR), Wish::Act).await, Err(Denied::LoginFailed("local".to_owned())));
    let mut barred = (*config).clone();
    barred.server.admin.access = near;
    let barred = Arc::new(barred);
    let right = caller(FAR, "/?auser=admin&apswd=s3cret", &[]);
    assert_eq!(gate.admit(&config, &right, Wish::Act).await, Ok(()));
    let address = || Some(Denied::Address);
    assert_eq!(admit(&gate, &barred, &right).await, [address(), address(), address()]);
    assert!(!Gate::permits(&barred, FAR.parse().unwrap()) && Gate::permits(&barred, LOCAL.parse().unwrap()));
    assert!(Gate::permits(&barred, "::ffff:127.0.0.1".parse().unwrap()));
}

#[tokio::test]
async fn wrong_passwords_lock_the_address_out_and_right_ones_too_then() {
    let (gate, config) = (Gate::new(None), with_users(&[("admin", "s3cret")]));
    let (wrong, right) = ("/?auser=admin&apswd=x", "/?auser=admin&apswd=s3cret");
    let failed = Err(Denied::LoginFailed("admin".to_owned()));
    assert_eq!(gate.admit(&config, &caller(FAR, right, &[]), Wish::Read).await, Ok(()));
    for _ in 0..3 {
        assert_eq!(gate.admit(&config, &caller(FAR, wrong, &[]), Wish::Read).await, failed);
    }
    for uri in [wrong, right] {
        let Err(Denied::LockedOut(user, left)) = gate.admit(&config, &caller(FAR, uri, &[]), Wish::Read).await else {
            panic!("{uri}")
        };
        assert_eq!(user, "admin");
        assert!(left <= Duration::from_secs(30) && left > Duration::from_secs(1));
        let told = Denied::LockedOut(user, Duration::from_millis(1500)).to_string();
        assert!(told.ends_with("failed: try again in 2 seconds."), "{told}");
    }
    assert_eq!(gate.admit(&config, &caller(LOCAL, right, &[]), Wish::Read).await, Ok(()), "another address");
}

#[tokio::test]
async fn pages_of_other_sites_neither_read_nor_lock_out() {
    let (gate, open) = (Gate::new(Some("Intro1".to_owned())), config(|_| ()));
    let site = header::HeaderName::from_static("sec-fetch-site");
    let cross = || Some(Denied::CrossSite);
    for uri in ["/", "/?auser=admin&apswd=x"] {
        let page = caller(LOCAL, uri, &[(site.clone(), "cross-site")]);
        assert_eq!(admit(&gate, &open, &page).await, [cross(), cross(), cross()]);
    }
    let closed = with_users(&[("admin", "s3cret")]);
    for _ in 0..10 {
        let page = caller(LOCAL, "/?auser=admin&apswd=x", &[(site.clone(), "cross-site")]);
        assert_eq!(gate.admit(&closed, &page, Wish::Read).await, Err(Denied::CrossSite));
    }
    let right = caller(LOCAL, "/?auser=admin&apswd=s3cret", &[]);
    assert_eq!(gate.admit(&closed, &right, Wish::Act).await, Ok(()), "the address is not locked out");

    // A site that has got the address of this machine sends its own name.
    for (host, is_own) in [
        ("127.0.0.1:1111", true),
        ("[::1]:1111", true),
        ("[2001:db8::1]", true),
        ("localhost:1111", true),
        ("intro1:1111", true),
        ("intro1.evil.example", false),
        ("localhost.evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("evil.example", false),
    ] {
        let page = caller(LOCAL, "/", &[(header::HOST, host)]);
        let expected = if is_own { Ok(()) } else { Err(Denied::Host) };
        assert_eq!(gate.admit(&open, &page, Wish::Read).await, expected, "{host}");
        assert_eq!(gate.admit(&open, &page, Wish::Health).await, expected, "{host}");
        // No browser sends the right password to another site.
        let right = caller(LOCAL, "/?auser=admin&apswd=s3cret", &[(header::HOST, host)]);
        assert_eq!(gate.admit(&closed, &right, Wish::Act).await, Ok(()), "{host}");
    }
    let mut nameless = caller(LOCAL, "/", &[]);
    nameless.host = None;
    assert_eq!(gate.admit(&open, &nameless, Wish::Read).await, Err(Denied::Host));
}
