//! Which sockets each worker has, and what stands behind them.

use std::net::SocketAddr;

use super::*;

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// A configuration with these addresses at the default adaptor, and those at a second one.
fn config(first: &[Listen], second: &[Listen]) -> Config {
    let mut config = Config::built_in();
    config.default_adaptor.listen = first.to_vec();
    let other =
        introd_config::Adaptor { name: "other".into(), listen: second.to_vec(), ..config.default_adaptor.clone() };
    config.adaptors.push(other);
    config
}

fn at(local: SocketAddr) -> Listen {
    Listen { local, public: None, is_optional: false }
}

fn listeners(listening: &Listening) -> Vec<Vec<Listener>> {
    listening.iter().map(|worker| worker.iter().map(|(listener, _)| *listener).collect()).collect()
}

#[test]
fn all_workers_listen_at_all_addresses_of_all_adaptors() {
    let public = Some(([198, 51, 100, 7], 443).into());
    let config = config(&[at(any_port()), Listen { public, ..at(any_port()) }], &[at(any_port())]);
    let listening = listen(&config, &[], &PassedSockets::default(), 3).unwrap();
    let all = listeners(&listening);
    assert_eq!(all.len(), 3);
    assert!(all.iter().all(|worker| *worker == all[0]), "they share the ports");
    let what: Vec<_> = all[0].iter().map(|listener| (listener.adaptor, listener.public)).collect();
    assert_eq!(what, [(0, None), (0, public), (1, None)]);
    for (listener, socket) in listening.iter().flatten() {
        assert_eq!(listener.local, socket.local_address());
        assert_ne!(listener.local.port(), 0);
    }
}

#[test]
fn addresses_that_are_given_replace_those_of_the_configuration() {
    let config = config(&[at(any_port())], &[at(any_port())]);
    let listening = listen(&config, &[any_port(), any_port()], &PassedSockets::default(), 2).unwrap();
    for worker in listeners(&listening) {
        let what: Vec<_> = worker.iter().map(|listener| (listener.adaptor, listener.public)).collect();
        assert_eq!(what, [(0, None), (0, None)]);
    }
}

#[test]
fn an_address_that_cannot_be_bound_is_named_whether_optional_or_not() {
    // TEST-NET-3: no machine has it.
    let foreign: SocketAddr = ([203, 0, 113, 1], 1935).into();
    for is_optional in [false, true] {
        let config = config(&[at(any_port()), Listen { is_optional, ..at(foreign) }], &[]);
        let error = listen(&config, &[], &PassedSockets::default(), 1).unwrap_err();
        assert_eq!(error.address, foreign, "it is not for want of IPv6");
    }
    assert_eq!(listen(&config(&[], &[]), &[foreign], &PassedSockets::default(), 1).unwrap_err().address, foreign);
}

#[test]
fn an_optional_address_is_left_out_where_the_machine_has_no_ipv6() {
    let failed = |address: &str, code| {
        let source = std::io::Error::from_raw_os_error(code);
        Err::<(), _>(BindError { address: address.parse().unwrap(), source })
    };
    assert!(unless_missing(failed("[::]:1935", libc::EAFNOSUPPORT), true).is_ok_and(|bound| bound.is_none()));
    assert!(unless_missing(failed("[::]:1935", libc::EAFNOSUPPORT), false).is_err(), "it is not optional");
    assert!(unless_missing(failed("[::]:1935", libc::EADDRINUSE), true).is_err(), "the machine has IPv6");
    assert!(unless_missing(failed("0.0.0.0:1935", libc::EAFNOSUPPORT), true).is_err());
    assert!(unless_missing(Ok(5), true).is_ok_and(|bound| bound == Some(5)));
}

/// The set of ports for workers that this text names.
fn port_set(text: &str, public: &str) -> PortSet {
    let folder = tempfile::tempdir().unwrap();
    let adaptor = folder.path().join("conf/_defaultRoot_");
    std::fs::create_dir_all(&adaptor).unwrap();
    let xml = format!(
        "<Adaptor><RTMFP><Core><HostPortList><HostPort public=\"{public}\">{text}</HostPort></HostPortList></Core></RTMFP></Adaptor>"
    );
    std::fs::write(adaptor.join("Adaptor.xml"), xml).unwrap();
    let loaded = Config::load(Some(&folder.path().join("conf"))).unwrap_or_else(|problems| panic!("{problems}"));
    loaded.config.default_adaptor.core_ports[0].clone()
}

/// Two ports, one after the other, of which this test holds both.
fn two_ports() -> [UdpSocket; 2] {
    let bind = |port| UdpSocket::bind(([127, 0, 0, 1], port).into(), BufferSizes::default());
    // The next port may be in use; hardly so often.
    let mut kept = Vec::new();
    for _ in 0..100 {
        let first = bind(0).unwrap();
        let after = first.local_address().port().checked_add(1);
        if let Some(second) = after.and_then(|port| bind(port).ok()) {
            return [first, second];
        }
        kept.push(first);
    }
    panic!("no two ports are free");
}

#[test]
fn each_worker_has_a_port_of_its_own_from_each_set() {
    let held = two_ports();
    let ports = held.each_ref().map(|socket| socket.local_address().port());
    let set = port_set(&format!("127.0.0.1:{}-{}", ports[0], ports[1]), "198.51.100.7:4000-4001");
    let config = Config {
        default_adaptor: introd_config::Adaptor {
            listen: vec![at(any_port())],
            core_ports: vec![set],
            ..Config::built_in().default_adaptor
        },
        ..Config::built_in()
    };
    let error = listen(&config, &[], &PassedSockets::default(), 2).unwrap_err();
    assert_eq!(error.address.port(), ports[1], "all are in use: the last is named");
    let [first, second] = held;
    drop(second);
    let listening = listen(&config, &[], &PassedSockets::default(), 1).unwrap();
    let worker = &listeners(&listening)[0];
    let own = Listener {
        adaptor: 0,
        local: ([127, 0, 0, 1], ports[1]).into(),
        public: Some(([198, 51, 100, 7], 4001).into()),
    };
    assert_eq!(worker[1..], [own], "it stands behind the ports that all share");
    drop((listening, first));
    let listening = listen(&config, &[], &PassedSockets::default(), 3).unwrap();
    let counts: Vec<usize> = listening.iter().map(Vec::len).collect();
    assert_eq!(counts, [2, 2, 1], "there are fewer ports than workers");
    let locals = [0, 1].map(|worker: usize| listening[worker][1].0.local.port());
    assert_eq!(locals, ports);
}
