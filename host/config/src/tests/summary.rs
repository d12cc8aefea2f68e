//! The summary of what would run says what the files say.

use super::Folder;
use super::closing::load;

#[test]
fn every_setting_that_is_told_is_told_as_it_stands() {
    let server = "<Root><Server>
        <Workers>2</Workers><ScriptThreads>3</ScriptThreads>
        <ResourceLimits>
            <Protocol><RTMFP>
                <MaxSessions>11</MaxSessions><MaxSessionsPerAddress>12</MaxSessionsPerAddress>
                <MaxConnectionRate>13</MaxConnectionRate><MaxConnectionRatePerAddress>14</MaxConnectionRatePerAddress>
                <MaxLookupRatePerAddress>15</MaxLookupRatePerAddress><MaxForwardRate>16</MaxForwardRate>
                <MaxSessionWork>-1</MaxSessionWork>
            </RTMFP></Protocol>
            <MaxScriptMemory>64</MaxScriptMemory>
        </ResourceLimits>
        <PublicIP>home.example.net</PublicIP>
        <PeerRegistry><Plugin path='peers.so'/></PeerRegistry>
        <AdminServer><HostPort>192.0.2.1:1111</HostPort><Allow>192.0.2</Allow></AdminServer>
    </Server></Root>";
    let adaptor = "<Adaptor>
        <HostPortList><HostPort public='203.0.113.1:9'>192.0.2.1:1935</HostPort></HostPortList>
        <RTMFP><Core><HostPortList><HostPort>192.0.2.1:20000-20003</HostPort></HostPortList></Core></RTMFP>
    </Adaptor>";
    let vhost = "<VirtualHost>
        <AliasList><Alias>a.test</Alias><Alias>b.test</Alias></AliasList>
        <ResourceLimits><MaxConnections>21</MaxConnections></ResourceLimits>
        <UnregisteredApplications>reject</UnregisteredApplications>
    </VirtualHost>";
    let own = "<Application>
        <RTMFP>
            <PeerLookupEvents mode='All'/><Lookups from='clients'/>
            <GroupControl><JoinLeaveEvents mode='All'/></GroupControl>
        </RTMFP>
        <Plugins><Plugin path='a.so'/><Plugin path='/opt/b.so'/></Plugins>
        <ScriptEngine>
            <RuntimeSize>20480</RuntimeSize><MaxTimeOut>0</MaxTimeOut><ConnectDefault>pending</ConnectDefault>
        </ScriptEngine>
    </Application>";
    let users = "<Root><UserList>
        <User name='alice'><Password>a</Password></User><User name='bob'><Password>b</Password></User><User name='carol'/>
    </UserList></Root>";
    let folder = Folder::new()
        .with("Server.xml", server)
        .with("Users.xml", users)
        .with("_defaultRoot_/Adaptor.xml", adaptor)
        .with("_defaultRoot_/_defaultVHost_/Vhost.xml", vhost)
        .with("_defaultRoot_/c.test/Vhost.xml", "<VirtualHost><AppsDir>c</AppsDir></VirtualHost>")
        .with("second/Adaptor.xml", "<Adaptor><RTMFP enable='false'/></Adaptor>")
        .with("second/_defaultVHost_/Vhost.xml", "<VirtualHost><AppsDir>c</AppsDir></VirtualHost>")
        .with("lua/broken/Application.xml", "<Application>")
        .with("lua/own/Application.xml", own)
        .with("lua/plain/main.lua", "");
    std::fs::create_dir(folder.0.path().join("c")).unwrap();
    let text = load(&folder).unwrap().config.to_string().replace(&folder.0.path().display().to_string(), "/srv");
    assert_eq!(text, include_str!("summary.txt"), "{text}");
}

#[test]
fn what_is_left_out_is_told_by_its_default() {
    let server = "<Root><Server><AutoCloseIdleClients enable='true'><MaxIdleTime>90</MaxIdleTime></AutoCloseIdleClients>\
                  <ResourceLimits><MaxScriptMemory>-1</MaxScriptMemory></ResourceLimits></Server></Root>";
    let partial = "<Application><RTMFP><PeerLookupEvents mode='Partial'/></RTMFP></Application>";
    let folder = Folder::new().with("Server.xml", server).with("_defaultRoot_/_defaultVHost_/Application.xml", partial);
    let text = load(&folder).unwrap().config.to_string();
    for line in [
        "  workers: one for each core; for scripts: 2; for handshakes: one for each core",
        "  registry of peers: in memory, this server only",
        "  memory of all scripts: without limit",
    ] {
        assert!(text.lines().any(|known| known == line), "{line} is not in:\n{text}");
    }
    assert!(text.contains("; idle ones: closed after 90 s\n"), "{text}");
    assert!(text.contains("lookups by the server for its own peers, else the script, groups by the server"), "{text}");
    assert!(text.contains(", and any other application\n"), "{text}");
}

#[test]
fn the_scope_of_groups_is_told_and_said_to_be_of_no_effect_where_a_script_names_members() {
    for (scope, mode, told, is_void) in [
        ("server", "None", "groups by the server,", false),
        ("application", "None", "groups by the server within the application,", false),
        ("instance", "None", "groups by the server within each instance,", false),
        ("server", "All", "groups by the script,", false),
        ("instance", "All", "groups by the script,", true),
    ] {
        let own = format!(
            "<Application><RTMFP><GroupControl><JoinLeaveEvents mode='{mode}'/><Scope>{scope}</Scope></GroupControl></RTMFP></Application>"
        );
        let folder = Folder::new().with("lua/own/Application.xml", &own).with("lua/own/main.lua", "");
        let loaded = load(&folder).unwrap();
        assert!(loaded.config.to_string().contains(told), "{scope} {mode}: {}", loaded.config);
        let warned = loaded.warnings.iter().any(|warning| warning.to_string().contains("Scope has no effect"));
        assert_eq!(warned, is_void, "{scope} {mode}");
    }
}
