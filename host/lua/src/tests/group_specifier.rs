//! `GroupSpecifier` as scripts use it.

use super::*;

/// What the script has said.
fn said(script: &str) -> Vec<String> {
    let scene = scene(&format!("function application.onAppStart() {script} end"));
    scene.traces()
}

#[test]
fn the_known_groupspec_and_its_digest() {
    let said = said(
        "local spec = GroupSpecifier('test')
        spec.multicastEnabled = true
        spec.postingEnabled = true
        spec.ipMemberUpdatesEnabled = true
        spec.serverChannelEnabled = true
        trace(spec:toString())
        trace(spec)
        trace(spec:encodeGroupspecDigest())
        trace(GroupSpecifier.encodeGroupspecDigest('G:027f0201010103010c050e74657374011b00'))
        trace(GroupSpecifier.encodeGroupspecDigest(spec), GroupSpecifier.maxSupportedGroupspecVersion)
        trace(table.concat(spec:unestablished(), ' '))
        spec.minGroupspecVersion = 1
        trace(spec:toString(), spec.minGroupspecVersion, spec.routingEnabled, spec.postingEnabled)",
    );
    // Recorded traffic has the digest of this groupspec.
    let digest = "763f90e4b524a0e026052bb5696bd143246f26c6eb0b9fa31b0d1ed39a092620";
    assert_eq!(
        said,
        [
            "G:027f0201010103010c050e74657374011b00".to_owned(),
            "G:027f0201010103010c050e74657374011b00".to_owned(),
            digest.to_owned(),
            digest.to_owned(),
            format!("{digest} 2"),
            "serverChannelEnabled ipMulticastMemberUpdatesEnabled".to_owned(),
            "G:01010103010c050e74657374011b00 1 false true".to_owned(),
        ]
    );
}

#[test]
fn suffixes_and_passwords() {
    let said = said(
        "local spec = GroupSpecifier.new('g')
        local peer = ('ab'):rep(32)
        spec:setPostingPassword('secret', 'salt')
        local plain = spec:groupspecWithoutAuthorizations()
        trace(spec:groupspecWithAuthorizations() == plain .. spec:authorizations())
        trace(spec:authorizations() == GroupSpecifier.encodePostingAuthorization('secret', 'salt'))
        spec:addBootstrapPeer(peer)
        spec:addIPMulticastAddress('224.0.0.254:30000')
        spec:addIPMulticastAddress('ff03::ffff', 30000)
        spec:addIPMulticastAddress('232.1.1.1', 30000, '192.0.2.1')
        local with = spec:groupspecWithoutAuthorizations()
        trace(with == plain .. GroupSpecifier.encodeBootstrapPeerIDSpec(peer)
            .. GroupSpecifier.encodeIPMulticastAddressSpec('224.0.0.254', 30000)
            .. GroupSpecifier.encodeIPMulticastAddressSpec('[ff03::ffff]:30000')
            .. GroupSpecifier.encodeIPMulticastAddressSpec('232.1.1.1:30000', nil, '192.0.2.1'))
        -- What stands after the canonical part makes no other group.
        trace(GroupSpecifier.encodeGroupspecDigest(with) == GroupSpecifier.encodeGroupspecDigest(plain))
        trace(spec:encodeGroupspecDigest() == GroupSpecifier.encodeGroupspecDigest(plain))
        spec:setPostingPassword(nil)
        trace(spec:encodeGroupspecDigest() == GroupSpecifier('g'):encodeGroupspecDigest())
        spec:setPublishPassword('p')
        trace(spec:authorizations() == GroupSpecifier.encodePublishAuthorization('p'))
        local one, two = GroupSpecifier('g'), GroupSpecifier('g')
        one:makeUnique()
        two:makeUnique()
        trace(one:encodeGroupspecDigest() ~= two:encodeGroupspecDigest())
        two:addOption(0x42, '\\1\\2')
        trace(two:toString():find('034201', 1, true) ~= nil, two.nothing)",
    );
    assert_eq!(said, ["true", "true", "true", "true", "true", "true", "true", "true", "true nil"]);
}

#[test]
fn mistakes_are_told() {
    for (mistake, message) in [
        ("GroupSpecifier('')", "group without a name"),
        ("GroupSpecifier()", "a group's name is a string"),
        ("GroupSpecifier(('n'):rep(10000))", "over 16384"),
        ("GroupSpecifier('g').routing = true", "no property routing"),
        ("GroupSpecifier('g').routingEnabled = 1", "true or false"),
        ("GroupSpecifier('g').minGroupspecVersion = 3", "1 or 2"),
        ("GroupSpecifier('g').toString = 1", "cannot be set"),
        ("GroupSpecifier('g').toString()", "called with a colon"),
        ("GroupSpecifier('g'):addBootstrapPeer('x')", "64 hexadecimal digits"),
        ("GroupSpecifier('g'):addIPMulticastAddress('192.0.2.1:1')", "multicast address"),
        ("GroupSpecifier('g'):addIPMulticastAddress('224.0.0.1')", "with a port"),
        ("GroupSpecifier('g'):addIPMulticastAddress('224.0.0.1', 70000)", "a port is a number"),
        ("GroupSpecifier('g'):addIPMulticastAddress('224.0.0.1', 7, 'ff02::1')", "multicast address"),
        ("GroupSpecifier('g'):addOption('x')", "an option has a number"),
        ("GroupSpecifier('g'):addOption(1, {})", "value of an option"),
        ("GroupSpecifier('g'):setPostingPassword({})", "a password is a string"),
        ("GroupSpecifier('g'):setPublishPassword('a', 1)", "a salt is a string"),
        ("GroupSpecifier.encodePostingAuthorization()", "a password is a string"),
        ("GroupSpecifier.encodeGroupspecDigest('chess')", "does not begin"),
        ("GroupSpecifier.encodeGroupspecDigest(7)", "a string or a GroupSpecifier"),
        ("local g = GroupSpecifier('g') for _ = 1, 1000 do g:addBootstrapPeer(('ab'):rep(32)) end", "over 16384"),
        ("local g = GroupSpecifier('g') for n = 1, 1000 do g:addOption(n) end", "at most 256"),
    ] {
        let said = said(&format!("local ok, problem = pcall(function() {mistake} end) trace(ok, problem)"));
        assert!(said[0].starts_with("false") && said[0].contains(message), "{mistake}: {said:?}");
    }
}

#[test]
fn a_password_that_is_refused_changes_nothing() {
    let said = said(
        "local spec = GroupSpecifier('g')
        spec:setPublishPassword('good')
        local before = spec:groupspecWithAuthorizations()
        trace(pcall(spec.setPublishPassword, spec, ('x'):rep(20000)))
        trace(pcall(spec.setPostingPassword, spec, ('x'):rep(20000)))
        trace(spec:groupspecWithAuthorizations() == before)",
    );
    assert!(said[0].starts_with("false") && said[1].starts_with("false"), "{said:?}");
    assert_eq!(said[2], "true");
}
