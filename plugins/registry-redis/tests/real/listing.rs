//! Administrators see which servers share the registry.

use crate::harness::*;

/// The servers that one knows of: their names, and whether each is alive.
fn listed(registry: &registry_redis::Registry) -> Vec<(String, bool)> {
    let servers = registry.servers().unwrap_or_default();
    servers.into_iter().map(|server| (String::from_utf8(server.name).unwrap(), server.is_alive)).collect()
}

#[test]
fn servers_are_listed_while_they_live_and_for_a_while_after_they_have_died() {
    let redis = Redis::start();
    let named = |name: &str, url: &str| registry(registry_redis::Settings { server: name.to_owned(), ..settings(url) });
    let proxy = Proxy::to(redis.port);
    let (a, b) = (named("a", &redis.url()), named("b", &proxy.url()));
    let c = named("c", &redis.url());
    let alive = |names: &[(&str, bool)]| names.iter().map(|(name, is)| ((*name).to_owned(), *is)).collect::<Vec<_>>();
    for one in [&a, &b, &c] {
        eventually("each knows all", || listed(one) == alive(&[("a", true), ("b", true), ("c", true)]));
    }
    proxy.cut();
    eventually("one is cut off", || listed(&a) == alive(&[("a", true), ("b", false), ("c", true)]));
    eventually("it knows nothing", || b.servers().is_none());
    proxy.mend();
    eventually("it is back", || listed(&a).contains(&("b".to_owned(), true)) && listed(&b).len() == 3);
    // One that stops is struck off, and one that died long ago, too.
    drop(c);
    redis.command(&["ZADD", "introd:servers", "1", "long dead"]);
    eventually("they are gone", || listed(&a) == alive(&[("a", true), ("b", true)]));
    eventually("the list is short", || redis.command(&["ZCARD", "introd:servers"]).trim() == "2");
}
