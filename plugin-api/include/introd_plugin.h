/* introd_plugin.h: write plugins for introd in C or C++.
 *
 * Generated from plugin-api/src/abi. After a change there, `INTROD_BLESS=1 cargo test -p introd-plugin` writes it again.
 * plugin-api/README.md is the guide for plugin authors.
 *
 * A plugin is a shared library that exports one function:
 *
 *     INTROD_PLUGIN_EXPORT const introd_plugin *introd_plugin_entry_v1(const introd_host *host);
 *
 * Rules that hold everywhere:
 *  - A table begins with its own size in bytes. A field exists if it lies within that size: new fields are only ever appended.
 *  - An argument is valid until the function returns, unless its comment says otherwise. To keep it, copy it.
 *  - Neither side frees memory that the other has allocated.
 *  - Text is UTF-8 with a length, without a terminating zero. An empty text may have a null pointer.
 *  - The comment of each function says on which threads it is called, or may be called. The host calls a plugin from several
 *    threads at the same time. The worker threads drive the server's sockets: while a callback runs on one, its clients wait.
 *  - No exception may leave a callback.
 */

#ifndef INTROD_PLUGIN_H
#define INTROD_PLUGIN_H

#include <stddef.h>
#include <stdint.h>
#if defined(_WIN32)
#define INTROD_PLUGIN_EXPORT __declspec(dllexport)
#elif defined(__GNUC__)
#define INTROD_PLUGIN_EXPORT __attribute__((visibility("default")))
#else
#define INTROD_PLUGIN_EXPORT
#endif

/* The place for the answer of a callback. Its content is the host's. Valid until the callback that received it returns. */
typedef struct introd_answer introd_answer;

/* The members of a group. Its content is the host's. Valid until the callback that received it returns, in that callback's thread. */
typedef struct introd_group introd_group;

/* Extension: the plugin writes log lines through the host. The host's table is `introd_host_log`. */
#define INTROD_EXT_LOG "introd.log/1"
/* Extension: the plugin's own metrics appear among the server's. The host's table is `introd_host_metrics`. */
#define INTROD_EXT_METRICS "introd.metrics/1"
/* Extension: the host calls the plugin at times that the plugin sets. The host's table is `introd_host_timer`, the plugin's is
 * `introd_plugin_timer`. */
#define INTROD_EXT_TIMER "introd.timer/1"
/* Extension: the plugin is the registry of peers that several servers share. The plugin's table is `introd_plugin_registry`, the
 * host's is `introd_host_registry`. */
#define INTROD_EXT_REGISTRY "introd.registry/1"
/* Extension: the plugin takes part in the bootstrap of NetGroups. The plugin's table is `introd_plugin_groups`, the host's is
 * `introd_host_groups`. */
#define INTROD_EXT_GROUPS "introd.groups/1"
/* Since 1.1. Extension: the plugin, which has INTROD_EXT_REGISTRY, also knows the members of NetGroups on all servers. The plugin's
 * table is `introd_plugin_group_registry`; the host has none. */
#define INTROD_EXT_GROUP_REGISTRY "introd.group-registry/1"


/*
 The major version of the ABI that this header describes. A host and a plugin of different major versions refuse each other.
 */
#define INTROD_ABI_MAJOR 1

/*
 The minor version of the ABI that this header describes. It is raised whenever something is added.
 */
#define INTROD_ABI_MINOR 4

/*
 Success. As a verdict it is the same as INTROD_CONTINUE.
 */
#define INTROD_OK 0

/*
 Verdict on a lookup, a connect or a group join: this plugin leaves the decision to the next plugin, then to the script, then
 to the server itself. On a connect it means that this plugin accepts the client.
 */
#define INTROD_CONTINUE 0

/*
 Verdict on a lookup: tell the asker to try `addresses`. Verdict on a connect: tell the client to connect to `uri` instead.
 Verdict of a registry: the peer can be reached at `addresses`. Give it by `host->answer` or `host->complete`.
 */
#define INTROD_REDIRECT 1

/*
 Verdict on a lookup: introduce the asker and the peer `peer` to each other. `peer` may be another peer than the one that was
 looked for. If it is not connected to this server, the asker gets no answer, as for any unknown peer. Give it by
 `host->answer` or `host->complete`.
 */
#define INTROD_INTRODUCE 2

/*
 Verdict on a lookup: refuse it. The asker gets no answer, and the refusal is counted in rtmfp_lookups_denied.
 */
#define INTROD_DENY 3

/*
 Verdict on a lookup: the asker gets no answer, and no refusal is counted.
 */
#define INTROD_IGNORE 4

/*
 The verdict comes later: the callback has taken a token by `host->defer`, and the plugin will call `host->complete` with it.
 */
#define INTROD_PENDING 5

/*
 Verdict on a connect: reject the client; `text` says why. Give it by `host->answer` or `host->complete`.
 */
#define INTROD_REJECT 6

/*
 Verdict of a registry: no server has published the peer. Result of a host's function: no such peer is connected.
 */
#define INTROD_NOT_FOUND 7

/*
 Verdict on a group join: this plugin has named all members that are to be named. No other plugin, no script, and not the
 server itself, names any more.
 */
#define INTROD_HANDLED 8

/*
 Since 1.1. Verdict of a registry of groups: the members are `members`, which may be none. Give it by `host->answer` or
 `host->complete`.
 */
#define INTROD_MEMBERS 9

/*
 Since 1.3. Verdict on a lookup: introduce the asker and a peer to each other, with a relay: if the two do not reach each other, the
 server passes their datagrams on. This is the wish and the permission of the application that is asked, whatever its setting
 RTMFP/Relay says. If the other side is a client of another application, that one must permit a relay, too, by its setting or its own
 policy. Without a relay, for want of that, of ports or of room, the two are introduced all the same. If the peer that was looked for is
 not connected to this server, the asker is sent to the server that has it, and the policies there decide about relays. To set
 limits, or to name the peer, give the verdict by `host->answer` or `host->complete`.
 */
#define INTROD_RELAY 10

/*
 The function failed. As the result of `lookup` or `connect`: `Policy/OnFailure` of the configuration decides instead.
 */
#define INTROD_E_FAILED -1

/*
 An argument is invalid: a null pointer, a text that is not UTF-8, or a verdict that does not fit the request.
 */
#define INTROD_E_ARGUMENT -2

/*
 The token is not valid: it has been completed already, its deadline has passed, the asker is gone, or it was never issued.
 */
#define INTROD_E_TOKEN -3

/*
 A panic or an exception was caught. The state of the instance is unknown, and the host never calls it again.
 */
#define INTROD_E_PANIC -4

/*
 The host or the plugin has no such function.
 */
#define INTROD_E_UNSUPPORTED -5

/*
 A queue is full, or a limit is reached.
 */
#define INTROD_E_FULL -6

/*
 The client, peer or plugin that the call is about is gone.
 */
#define INTROD_E_GONE -7

/*
 Something that the function needs, such as a database, cannot be reached at present.
 */
#define INTROD_E_UNAVAILABLE -8

/*
 Nothing is known about where the address comes from. Some clients take a redirect to such an address as "the peer is gone".
 */
#define INTROD_ORIGIN_UNSPECIFIED 0

/*
 The peer itself has reported this address.
 */
#define INTROD_ORIGIN_REPORTED 1

/*
 The peer's packets came from this address.
 */
#define INTROD_ORIGIN_OBSERVED 2

/*
 A server has this address. An asker that is redirected there repeats its lookup at that server.
 */
#define INTROD_ORIGIN_RELAY 3

/*
 Flag of a lookup: the asker looks for a peer ID, which is in `target`. Without this flag its endpoint discriminator is of another
 kind; see `epd`.
 */
#define INTROD_LOOKUP_HAS_TARGET 1

/*
 Flag of a lookup: the asker is a client of this server, and `asker` is set.
 */
#define INTROD_LOOKUP_HAS_ASKER 2

/*
 Flag of a lookup: the target is connected to this server.
 */
#define INTROD_LOOKUP_TARGET_IS_LOCAL 4

/*
 Since 1.1. Flag of a lookup: the plugin decides for the target's application. The asker's application, if there is one, has agreed
 already. Both must agree: if either refuses, the two are not introduced.
 */
#define INTROD_LOOKUP_FOR_TARGET 8

/*
 Since 1.1. Flag of a lookup: the same instance of the plugin has just decided about this lookup for the asker's application. A
 plugin that counts lookups should not count this call.
 */
#define INTROD_LOOKUP_AGAIN 16

/*
 Flag of an address change: the client's packets come from another address, and the client has proven that it receives there.
 */
#define INTROD_CHANGE_FAR_ADDRESS 1

/*
 Flag of an address change: the client reports other addresses than before.
 */
#define INTROD_CHANGE_REPORTED_ADDRESSES 2

/*
 Log level: something does not work.
 */
#define INTROD_LOG_ERROR 1

/*
 Log level: something may not work.
 */
#define INTROD_LOG_WARN 2

/*
 Log level: something that an operator wants to know.
 */
#define INTROD_LOG_INFO 3

/*
 Log level: something that helps to find a fault.
 */
#define INTROD_LOG_DEBUG 4

/*
 Log level: every step.
 */
#define INTROD_LOG_TRACE 5

/*
 Kind of metric: it only grows.
 */
#define INTROD_METRIC_COUNTER 1

/*
 Kind of metric: it goes up and down.
 */
#define INTROD_METRIC_GAUGE 2

/*
 Capability of a registry: it reports changes that other servers make, by `introd_host_registry.changed`.
 */
#define INTROD_REGISTRY_CHANGES 1

/*
 Since 1.1. Flag of a publication: the client has proven that the peer ID is its own, by a certificate with a static
 Diffie-Hellman key. Without this flag another client may have copied the certificate: such a client should not replace a peer
 that another server has published.
 */
#define INTROD_PUBLICATION_PROVEN 1

/*
 Since 1.1. Flag of a publication: the client has not answered a ping and may be gone. The entry of another server for the same
 peer takes precedence.
 */
#define INTROD_PUBLICATION_SILENT 2

/*
 Since 1.2. Flag of a server that shares the registry: it is the server that has this plugin.
 */
#define INTROD_SERVER_SELF 1

/*
 Since 1.2. Flag of a server that shares the registry: it is alive, so that its peers are found. Without this flag it has died, or
 cannot reach the registry.
 */
#define INTROD_SERVER_ALIVE 2

/*
 Choice of members: the newcomer's neighbours on the group's ring, on both sides, the nearest first.
 */
#define INTROD_MEMBERS_NEIGHBORS 1

/*
 Choice of members: the members that joined last, the newest first.
 */
#define INTROD_MEMBERS_NEWEST 2

/*
 Choice of members: random members, each with the same probability.
 */
#define INTROD_MEMBERS_RANDOM 3

/*
 Kind of hint: the other peer is a member. The recipient connects to it if its position in the group suggests so.
 */
#define INTROD_HINT_MEMBER 1

/*
 Kind of hint: the other peer should become a neighbour. The recipient is advised to connect now. Known clients have one message
 for both kinds, and treat them alike.
 */
#define INTROD_HINT_NEIGHBOR 2

/*
 A run of bytes. It is a view: the side that made it keeps the memory.
 */
typedef struct introd_bytes {
    /*
     The first byte. May be null if `len` is 0.
     */
    const uint8_t *ptr;
    /*
     The number of bytes.
     */
    size_t len;
} introd_bytes;

/*
 An Internet address with a UDP port.
 */
typedef struct introd_address {
    /*
     The IP address in network order. An IPv4 address takes the first four bytes, and the rest is zero.
     */
    uint8_t ip[16];
    /*
     The UDP port, in the byte order of the machine.
     */
    uint16_t port;
    /*
     4 for IPv4, or 6 for IPv6.
     */
    uint8_t family;
    /*
     How the address became known: one of INTROD_ORIGIN_*.
     */
    uint8_t origin;
} introd_address;

/*
 The ID of a peer: the SHA-256 digest of its certificate. Clients write it as 64 hexadecimal digits.
 */
typedef struct introd_peer_id {
    /*
     The digest.
     */
    uint8_t bytes[32];
} introd_peer_id;

/*
 A verdict with its details. Fields that its kind does not use are ignored, and should be zero.
 */
typedef struct introd_verdict {
    /*
     sizeof(introd_verdict)
     */
    uint32_t struct_size;
    /*
     One of the verdicts, or one of the errors INTROD_E_*.
     */
    int32_t kind;
    /*
     INTROD_REDIRECT on a lookup or of a registry: the addresses to try, the best first. The host uses the first 16. An empty list
     is invalid.
     */
    const struct introd_address *addresses;
    /*
     The number of `addresses`.
     */
    size_t address_count;
    /*
     INTROD_INTRODUCE: the peer that the asker is introduced to. Since 1.3. INTROD_RELAY: the same, which must be connected to this
     server; null for the peer that was looked for.
     */
    const struct introd_peer_id *peer;
    /*
     INTROD_REJECT: the reason that the client receives. An error: the reason that is logged. The host cuts it off after 1024 bytes.
     */
    struct introd_bytes text;
    /*
     INTROD_REDIRECT on a connect: the URI that the client should connect to instead, of 1024 bytes at most.
     */
    struct introd_bytes uri;
    /*
     Since 1.1. INTROD_MEMBERS: the peers, the nearest neighbours first. The host uses the first 64.
     */
    const struct introd_peer_id *members;
    /*
     Since 1.1. The number of `members`.
     */
    size_t member_count;
    /*
     Since 1.3. INTROD_RELAY: how many bytes of UDP payload the relay passes on in a second, both directions together; 0 leaves that to
     the settings. The smallest of all limits that policies and settings name holds.
     */
    uint64_t relay_bytes_per_second;
    /*
     Since 1.3. INTROD_RELAY: how long the relay lasts at most, in milliseconds from the moment when it is made; 0 leaves that to the
     settings.
     */
    uint64_t relay_lifetime_ms;
} introd_verdict;

/*
 Identifies a pending verdict or a timer. 0 is no token. No token is issued twice.
 */
typedef uint64_t introd_token;

/*
 A client: one connection of a peer. A peer that reconnects is another client.
 */
typedef struct introd_client {
    /*
     Identifies the connection. 0 is no connection.
     */
    uint64_t id;
    /*
     The peer that is connected.
     */
    struct introd_peer_id peer;
} introd_client;

/*
 What the host knows about a peer that is connected to this server.
 */
typedef struct introd_peer {
    /*
     sizeof(introd_peer); the plugin sets it before the call
     */
    uint32_t struct_size;
    /*
     The plugin sets how many addresses `reported` has room for. The host sets how many it has written there.
     */
    uint32_t reported_count;
    /*
     The connection of the peer.
     */
    struct introd_client client;
    /*
     The address that the peer's packets come from.
     */
    struct introd_address observed;
    /*
     Memory of the plugin for the addresses that the peer reports. May be null if `reported_count` is 0.
     */
    struct introd_address *reported;
} introd_peer;

/*
 The functions of the host, as one instance of a plugin may call them. Valid from the call that passes it until the process ends;
 when the instance has been destroyed, its functions do nothing and return an error. No function of this table blocks.
 */
typedef struct introd_host {
    /*
     sizeof(introd_host) at the host
     */
    uint32_t struct_size;
    /*
     INTROD_ABI_MAJOR at the host
     */
    uint32_t abi_major;
    /*
     INTROD_ABI_MINOR at the host
     */
    uint32_t abi_minor;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     For the host's own use.
     */
    void *context;
    /*
     The name of the host program.
     */
    struct introd_bytes name;
    /*
     The version of the host program.
     */
    struct introd_bytes version;
    /*
     Sets the answer of the running callback: needed for verdicts with details, and for errors with a reason. The callback must
     return the same verdict. The host copies the verdict. Returns the kind of the verdict, so that a callback can end with
     `return host->answer(host, answer, &verdict);`, or INTROD_E_ARGUMENT if the verdict does not fit the callback.

     Thread: the thread of the callback that received `answer`, before that callback returns.
     */
    int32_t (*answer)(const struct introd_host *host, introd_answer *answer, const struct introd_verdict *verdict);
    /*
     Takes a token for the running callback, which must then return INTROD_PENDING. Any thread may call `complete` with the token
     at once, even before the callback has returned. Returns 0, which is no token, if the callback cannot be pending or has a token
     already, or if too many verdicts are pending.

     Thread: the thread of the callback that received `answer`, before that callback returns.
     */
    introd_token (*defer)(const struct introd_host *host, introd_answer *answer);
    /*
     Gives the verdict that a callback has left pending. The host copies the verdict. Returns INTROD_OK for the first call with a
     token. Returns INTROD_E_TOKEN for later calls, and once the deadline has passed or the asker is gone; that does no harm, and
     happens whenever a verdict comes just after its deadline. Returns INTROD_E_ARGUMENT if the verdict does not fit the callback;
     the token then stays valid.

     Thread: any, at any time.
     */
    int32_t (*complete)(const struct introd_host *host, introd_token token, const struct introd_verdict *verdict);
    /*
     Fills in `peer` with what is known about a peer that is connected to this server. Returns INTROD_OK; INTROD_NOT_FOUND if the
     peer is not connected here; or INTROD_E_ARGUMENT.

     Thread: any, at any time.
     */
    int32_t (*find_peer)(const struct introd_host *host, const struct introd_peer_id *id, struct introd_peer *peer);
    /*
     Tells the peer `target`, which is connected to this server, that an asker at the address `initiator` looks for it, so that it
     opens its NAT to that address. This is one half of an introduction; the other half is the verdict INTROD_REDIRECT with the
     target's addresses. `tag` is the tag of the lookup. No plugin and no script is asked about it. Returns INTROD_OK if the message
     is queued, INTROD_NOT_FOUND if the target is not connected here, INTROD_E_FULL, or INTROD_E_ARGUMENT.

     Thread: any, at any time.
     */
    int32_t (*introduce)(const struct introd_host *host,
                         const struct introd_peer_id *target,
                         const struct introd_address *initiator,
                         struct introd_bytes tag);
    /*
     Closes a client's connection. Returns INTROD_OK if the request is queued (a client that is gone by then is no error),
     INTROD_E_FULL, or INTROD_E_ARGUMENT.

     Thread: any, at any time.
     */
    int32_t (*disconnect)(const struct introd_host *host, const struct introd_client *client);
    /*
     Returns the function table of an extension: for INTROD_EXT_LOG an `introd_host_log`, and so on. Returns null if the host does
     not have the extension. `id` ends with a zero byte. The table is valid until the process ends.

     Thread: any, at any time.
     */
    const void *(*get_extension)(const struct introd_host *host, const char *id);
} introd_host;

/*
 The configuration of a new instance of a plugin.
 */
typedef struct introd_create {
    /*
     sizeof(introd_create) at the host
     */
    uint32_t struct_size;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     The `<Config>` element of Application.xml or Server.xml as an XML document. Attributes have become elements, and variables have
     been replaced. `<Config></Config>` if the configuration has no such element.
     */
    struct introd_bytes config;
    /*
     The folder that relative paths in the configuration are relative to.
     */
    struct introd_bytes root;
    /*
     Since 1.4. For a registry of a server that takes over from another process: what the registry of that process has given by
     `introd_plugin_registry.hand_over`. Otherwise it is empty. The other process goes on serving until this one has begun to, and may go
     on for good if this one fails.
     */
    struct introd_bytes handed_over;
} introd_create;

/*
 An instance of a plugin: the pointer that `create` has stored. The host only passes it on to the plugin's functions.
 */
typedef void *introd_instance;

/*
 A client wants to connect.
 */
typedef struct introd_connect {
    /*
     sizeof(introd_connect) at the host
     */
    uint32_t struct_size;
    /*
     The number of `arguments`.
     */
    uint32_t argument_count;
    /*
     The client that wants to connect.
     */
    struct introd_client client;
    /*
     The address that the client's packets come from. The handshake has proven that the client receives packets there.
     */
    struct introd_address far_address;
    /*
     The server's address that the client connected to.
     */
    struct introd_address near_address;
    /*
     The client's nonce of this session (RFC 7425 section 4.6.5).
     */
    uint8_t far_nonce[32];
    /*
     The server's nonce of this session.
     */
    uint8_t near_nonce[32];
    /*
     The application that the client wants to connect to.
     */
    struct introd_bytes application;
    /*
     The instance of the application.
     */
    struct introd_bytes instance;
    /*
     The client's tcUrl, unchanged.
     */
    struct introd_bytes uri;
    /*
     The query of `uri`, without the question mark.
     */
    struct introd_bytes query;
    /*
     The client's flashVer: its platform and version.
     */
    struct introd_bytes agent;
    /*
     The client's swfUrl: where its program was loaded from.
     */
    struct introd_bytes referrer;
    /*
     The client's pageUrl: the web page that its program runs in.
     */
    struct introd_bytes page_url;
    /*
     The arguments that the client's program passed to connect() after the URI: strings unchanged, numbers and booleans as
     JavaScript writes them, and an empty text for everything else.
     */
    const struct introd_bytes *arguments;
} introd_connect;

/*
 A client has disconnected.
 */
typedef struct introd_disconnect {
    /*
     sizeof(introd_disconnect) at the host
     */
    uint32_t struct_size;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     The client that has disconnected.
     */
    struct introd_client client;
    /*
     The application that the client was connected to.
     */
    struct introd_bytes application;
    /*
     The instance of the application.
     */
    struct introd_bytes instance;
    /*
     Why the client disconnected, as a text for people to read.
     */
    struct introd_bytes reason;
} introd_disconnect;

/*
 A client's addresses have changed.
 */
typedef struct introd_address_change {
    /*
     sizeof(introd_address_change) at the host
     */
    uint32_t struct_size;
    /*
     What has changed: a combination of INTROD_CHANGE_*.
     */
    uint32_t changed;
    /*
     The client whose addresses have changed.
     */
    struct introd_client client;
    /*
     The application that the client is connected to.
     */
    struct introd_bytes application;
    /*
     The instance of the application.
     */
    struct introd_bytes instance;
    /*
     The address that the client's packets come from now.
     */
    struct introd_address far_address;
    /*
     The number of `reported`.
     */
    uint32_t reported_count;
    /*
     All addresses that the client reports now; set if INTROD_CHANGE_REPORTED_ADDRESSES is.
     */
    const struct introd_address *reported;
} introd_address_change;

/*
 A lookup: an asker wants to reach a peer, and asks this server where the peer is.
 */
typedef struct introd_lookup {
    /*
     sizeof(introd_lookup) at the host
     */
    uint32_t struct_size;
    /*
     A combination of INTROD_LOOKUP_*.
     */
    uint32_t flags;
    /*
     The peer that is looked for; set if INTROD_LOOKUP_HAS_TARGET is.
     */
    struct introd_peer_id target;
    /*
     The client that looks; set if INTROD_LOOKUP_HAS_ASKER is. An asker need not be a client of this server.
     */
    struct introd_client asker;
    /*
     The address that the lookup came from. It is not proven: the source address of a packet can be forged.
     */
    struct introd_address initiator;
    /*
     The number of the server's interface that received the lookup.
     */
    uint32_t interface_id;
    /*
     The tag of the lookup, which the answer to the asker repeats.
     */
    struct introd_bytes tag;
    /*
     The endpoint discriminator as the asker sent it (RFC 7425 section 4.4.2.1).
     */
    struct introd_bytes epd;
    /*
     The application that the plugin decides for. With INTROD_LOOKUP_FOR_TARGET it is the target's; else the asker's; if the asker
     has none, the target's; if that has none, the default application.
     */
    struct introd_bytes application;
    /*
     The instance of `application`; empty if there is none.
     */
    struct introd_bytes instance;
    /*
     Since 1.1. The application that the asker is connected to; empty if the asker is not a client of this server.
     */
    struct introd_bytes asker_application;
    /*
     Since 1.1. The instance of `asker_application`.
     */
    struct introd_bytes asker_instance;
    /*
     Since 1.2. How many times the asker has made this lookup, with this time: 1 if it does not repeat an earlier one. Askers
     repeat a lookup, with the same tag, until the peer answers. It is 1, too, if the host follows too many lookups to know.
     */
    uint32_t attempt;
    /*
     Unused.
     */
    uint32_t reserved;
} introd_lookup;

/*
 The functions of a plugin. All its instances share this table. It must stay valid until the process ends: the host never unloads a
 library.

 The host creates one instance for each distinct `<Plugin>` element of the configuration; applications with equal elements share it.
 First the host calls `create`; then any of the other functions, from several threads at the same time; at last `destroy`, when no
 other function runs and none will be called. After a reload of the configuration, the host may create the new instance before it
 destroys the old one. After an instance has returned INTROD_E_PANIC the host never calls it again, not even `destroy`.

 `create` and `destroy` are required; any other function may be null. A function for which no verdicts are listed returns INTROD_OK,
 or an error, which the host logs.
 */
typedef struct introd_plugin {
    /*
     sizeof(introd_plugin) at the plugin
     */
    uint32_t struct_size;
    /*
     INTROD_ABI_MAJOR at the plugin
     */
    uint32_t abi_major;
    /*
     INTROD_ABI_MINOR at the plugin
     */
    uint32_t abi_minor;
    /*
     Must be 0.
     */
    uint32_t reserved;
    /*
     The plugin's name in the log and in metrics: up to 64 letters, digits, `-` and `_`.
     */
    struct introd_bytes name;
    /*
     The plugin's version.
     */
    struct introd_bytes version;
    /*
     What the plugin does, in a sentence.
     */
    struct introd_bytes description;
    /*
     Creates an instance, stores its pointer in `instance`, and returns INTROD_OK. `host` stays valid for the instance's life and
     beyond. To fail with a reason, call `host->answer` with an error and a text, and return that error. If it fails at the start
     of the server, the applications that name the plugin reject all clients and lookups; if it fails at a reload, they keep their
     old configuration.

     Thread: a thread that serves no clients. It may block.
     */
    int32_t (*create)(const struct introd_host *host,
                      const struct introd_create *create,
                      introd_answer *answer,
                      introd_instance *instance);
    /*
     Destroys an instance and frees its memory. When it returns, no thread of the instance may be running. Tokens that are still
     pending are invalid from then on.

     Thread: a thread that serves no clients. It may block for a short time; timers of all plugins wait meanwhile.
     */
    int32_t (*destroy)(introd_instance instance);
    /*
     Decides whether a client may connect. Verdicts: INTROD_CONTINUE, INTROD_REJECT, INTROD_REDIRECT, INTROD_PENDING. An error
     takes `Policy/OnFailure` of the configuration.

     Thread: any worker thread, several at the same time. It must not block.
     */
    int32_t (*connect)(introd_instance instance, const struct introd_connect *connect, introd_answer *answer);
    /*
     Tells the plugin that a client has disconnected, or was rejected. The host calls it once for each client whose `connect` this
     instance has decided, and makes no call about that client afterwards. An instance that was created while the client was
     connected receives the call as well.

     Thread: any worker thread, several at the same time. It must not block.
     */
    int32_t (*disconnect)(introd_instance instance, const struct introd_disconnect *disconnect);
    /*
     Tells the plugin that the addresses of an accepted client have changed.

     Thread: any worker thread, several at the same time. It must not block.
     */
    int32_t (*addresses_changed)(introd_instance instance, const struct introd_address_change *change);
    /*
     Decides about a lookup. Verdicts: INTROD_CONTINUE, INTROD_REDIRECT, INTROD_INTRODUCE, INTROD_RELAY, INTROD_DENY, INTROD_IGNORE,
     INTROD_PENDING. An error takes `Policy/OnFailure` of the configuration.

     Thread: any worker thread, several at the same time. It must not block.
     */
    int32_t (*lookup)(introd_instance instance, const struct introd_lookup *lookup, introd_answer *answer);
    /*
     Tells the plugin that a verdict is no longer needed, because its deadline has passed or the asker is gone. From now on
     `host->complete` returns INTROD_E_TOKEN for this token. Free here whatever the plugin keeps for it.

     Thread: any thread of the server, several at the same time. It must not block.
     */
    int32_t (*cancel)(introd_instance instance, introd_token token);
    /*
     Returns the plugin's function table of an extension: for INTROD_EXT_REGISTRY an `introd_plugin_registry`, and so on. Returns
     null if the plugin does not have the extension. `id` ends with a zero byte. The table must stay valid until the process ends.
     The host calls it before it creates any instance.

     Thread: a thread that serves no clients. It may block.
     */
    const void *(*get_extension)(const char *id);
} introd_plugin;

/*
 The one function that a plugin's library exports, under the name `introd_plugin_entry_v1`. Returns the plugin's table, or null to
 refuse this host. The host calls it once each time it loads the library, before any other function. There is no instance yet, so
 that the plugin may only read the size, the versions and the name in the host's table.

 Thread: a thread that serves no clients. It may block.
 */
typedef const struct introd_plugin *(*introd_plugin_entry)(const struct introd_host *host);

/*
 The host's functions for INTROD_EXT_LOG.
 */
typedef struct introd_host_log {
    /*
     sizeof(introd_host_log) at the host
     */
    uint32_t struct_size;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     Returns 1 if the host would write a line of this level anywhere, else 0.

     Thread: any, at any time.
     */
    uint32_t (*is_enabled)(const struct introd_host *host, uint32_t level);
    /*
     Writes one log line with the plugin's name. The host copies the text, and cuts it off after 4096 bytes.

     Thread: any, at any time.
     */
    void (*log)(const struct introd_host *host, uint32_t level, struct introd_bytes text);
} introd_host_log;

/*
 The host's functions for INTROD_EXT_METRICS.
 */
typedef struct introd_host_metrics {
    /*
     sizeof(introd_host_metrics) at the host
     */
    uint32_t struct_size;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     Returns the number of the metric of this name and kind, which it creates if there is none yet. The name has up to 64 of a-z, 0-9
     and `_`; the metric appears as `plugin_PLUGIN_NAME`. The host copies both texts. Returns 0 if the name is invalid or belongs to
     a metric of another kind, or if the instance has 256 metrics already.

     Thread: any, at any time.
     */
    uint32_t (*metric)(const struct introd_host *host, uint32_t kind, struct introd_bytes name, struct introd_bytes help);
    /*
     Adds to a counter or a gauge. It is cheap enough to call for every lookup.

     Thread: any, at any time.
     */
    void (*add)(const struct introd_host *host, uint32_t metric, int64_t amount);
    /*
     Sets a gauge.

     Thread: any, at any time.
     */
    void (*set)(const struct introd_host *host, uint32_t metric, int64_t value);
} introd_host_metrics;

/*
 The host's functions for INTROD_EXT_TIMER.
 */
typedef struct introd_host_timer {
    /*
     sizeof(introd_host_timer) at the host
     */
    uint32_t struct_size;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     Starts a timer that fires after `after_ms` milliseconds, and then every `every_ms` milliseconds; only once if `every_ms` is 0.
     The host passes `user` on to `on_timer`. Returns a token, or 0 if the plugin has no `introd_plugin_timer` or the instance has
     1024 timers already.

     Thread: any, at any time.
     */
    introd_token (*start)(const struct introd_host *host, uint64_t after_ms, uint64_t every_ms, uint64_t user);
    /*
     Stops a timer. Returns INTROD_OK, or INTROD_E_TOKEN if it has fired for the last time or was never started. A call of `on_timer`
     may still be under way.

     Thread: any, at any time.
     */
    int32_t (*stop)(const struct introd_host *host, introd_token timer);
} introd_host_timer;

/*
 The plugin's functions for INTROD_EXT_TIMER.
 */
typedef struct introd_plugin_timer {
    /*
     sizeof(introd_plugin_timer) at the plugin
     */
    uint32_t struct_size;
    /*
     Must be 0.
     */
    uint32_t reserved;
    /*
     Tells the plugin that a timer has fired. `user` is the number that `start` was called with.

     Thread: the timer thread, which all plugins share. It may take some milliseconds; other timers wait meanwhile.
     */
    int32_t (*on_timer)(introd_instance instance, introd_token timer, uint64_t user);
} introd_plugin_timer;

/*
 The host's functions for INTROD_EXT_REGISTRY.
 */
typedef struct introd_host_registry {
    /*
     sizeof(introd_host_registry) at the host
     */
    uint32_t struct_size;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     Tells the host that another server has published these addresses of a peer, or has withdrawn the peer if there are none.
     The host does nothing with it so far: it remembers no answer of a registry for longer than 250 ms.

     Thread: any, at any time.
     */
    void (*changed)(const struct introd_host *host,
                    const struct introd_peer_id *peer,
                    const struct introd_address *addresses,
                    size_t address_count);
} introd_host_registry;

/*
 Since 1.1. The addresses of a peer, and the state of the session by which it is connected to this server.
 */
typedef struct introd_publication {
    /*
     sizeof(introd_publication) at the host
     */
    uint32_t struct_size;
    /*
     A combination of INTROD_PUBLICATION_*.
     */
    uint32_t flags;
    /*
     The peer, and its connection to this server.
     */
    struct introd_client client;
    /*
     The addresses at which the peer can be reached.
     */
    const struct introd_address *addresses;
    /*
     The number of `addresses`. If it is 0, the addresses published before still hold and only `flags` or `client` may have changed;
     nothing is to be done for a peer that has not been published.
     */
    size_t address_count;
} introd_publication;

/*
 Since 1.2. A server that shares the registry.
 */
typedef struct introd_registry_server {
    /*
     sizeof(introd_registry_server) at the plugin
     */
    uint32_t struct_size;
    /*
     A combination of INTROD_SERVER_*.
     */
    uint32_t flags;
    /*
     Its name in the registry, in UTF-8. The host shows the first 256 bytes.
     */
    struct introd_bytes name;
} introd_registry_server;

/*
 The plugin's functions for INTROD_EXT_REGISTRY. The host calls them for its own peers, for lookups of peers that it does not know,
 and for the `registry` object of scripts.
 */
typedef struct introd_plugin_registry {
    /*
     sizeof(introd_plugin_registry) at the plugin
     */
    uint32_t struct_size;
    /*
     A combination of INTROD_REGISTRY_*.
     */
    uint32_t capabilities;
    /*
     Publishes the addresses of a peer of this server; they replace those published before. Returns INTROD_OK when the plugin has
     accepted them, though other servers may see them only later; or INTROD_E_FULL or INTROD_E_UNAVAILABLE.

     Thread: any thread of the server, several at the same time. It must not block.
     */
    int32_t (*publish)(introd_instance instance,
                       const struct introd_peer_id *peer,
                       const struct introd_address *addresses,
                       size_t address_count);
    /*
     Withdraws what this server has published about a peer. Returns INTROD_OK, also if there was nothing to withdraw.

     Thread: any thread of the server, several at the same time. It must not block.
     */
    int32_t (*withdraw)(introd_instance instance, const struct introd_peer_id *peer);
    /*
     Looks a peer up. Verdicts: INTROD_REDIRECT with the peer's addresses by `host->answer`, INTROD_NOT_FOUND, INTROD_PENDING, or an
     error.

     Thread: any thread of the server, several at the same time. It must not block.
     */
    int32_t (*lookup)(introd_instance instance, const struct introd_peer_id *peer, introd_answer *answer);
    /*
     Since 1.1. Does what `publish` does, and also tells the state of the peer's session. If it is null the host calls `publish`
     instead, except for sessions with INTROD_PUBLICATION_SILENT. What a script publishes about a peer that is not its own client comes
     by `publish` in any case.

     Thread: any thread of the server, several at the same time. It must not block.
     */
    int32_t (*publish_session)(introd_instance instance, const struct introd_publication *publication);
    /*
     Since 1.1. The server has read its configuration again; `create` has what `PeerRegistry/Plugin/Config` holds now, whether that
     has changed or not. A password that has changed takes effect by this, and files that the settings name can be read again.
     What the registry holds must not be lost. Returns INTROD_OK if these settings are in force, INTROD_E_UNSUPPORTED if some take
     effect at the next start of the server only, or another error, with the reason by `host->answer`, if the earlier settings stay.
     If it is null, changes take effect at the next start.

     Thread: a thread that serves no clients. It may block.
     */
    int32_t (*reconfigure)(introd_instance instance, const struct introd_create *create, introd_answer *answer);
    /*
     Since 1.2. Tells which servers share the registry, as far as the plugin knows without asking anyone: it calls `each` for one after
     the other, with `context`, during this call. The host shows the first 1000 to administrators. Returns INTROD_OK, or
     INTROD_E_UNAVAILABLE if it does not know at present. If it is null, nobody is told of the servers.

     Thread: any thread of the server, several at the same time. It must not block.
     */
    int32_t (*servers)(introd_instance instance,
                       void *context,
                       void (*each)(void *context, const struct introd_registry_server *server));
    /*
     Since 1.4. Another process is to take over from this server (`introd run --takeover`). The plugin calls `take` once, with `context`,
     during this call, with what its instance in that process is to go on with, so that what this server has published can stay valid. The
     host calls it twice: when the other process prepares, whose instance gets the state by `introd_create.handed_over`, and when this
     server stands still, for `took_over`. After each of them the takeover may fail, and this server go on. A state of more than 256 MiB is
     none. Returns INTROD_OK. If it is null, or does not call `take`, the instance in the other process begins as any other does.

     Thread: a thread that serves no clients. The server stands still at the second call: it should not block.
     */
    int32_t (*hand_over)(introd_instance instance, void *context, void (*take)(void *context, struct introd_bytes state));
    /*
     Since 1.4. This server serves now, in the place of the process whose instance has given `state` by `hand_over` at last. The host has
     published the peers that came over, or does so soon. Until this call, the host withdraws nothing at this instance: peers that have gone
     meanwhile follow after it. If the takeover fails, it does not call `destroy`: what is published is the other process's own. Returns
     INTROD_OK.

     Thread: a thread that serves no clients. Clients wait: it should not block.
     */
    int32_t (*took_over)(introd_instance instance, struct introd_bytes state);
    /*
     Since 1.4. Another process has taken over, and its instance goes on with what `hand_over` has given: it publishes all peers that are
     still connected. The plugin finishes what is due, such as withdrawals of peers that have gone, and withdraws nothing else. This is the
     last call: the process ends soon after, without `destroy`. Returns INTROD_OK.

     Thread: a thread that serves no clients. It may block for two seconds.
     */
    int32_t (*handed_over)(introd_instance instance);
} introd_plugin_registry;

/*
 The ID of a group: the SHA-256 digest of its canonical groupspec.
 */
typedef struct introd_group_id {
    /*
     The digest.
     */
    uint8_t bytes[32];
} introd_group_id;

/*
 A client has joined or left a group.
 */
typedef struct introd_group_event {
    /*
     sizeof(introd_group_event) at the host
     */
    uint32_t struct_size;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     The group.
     */
    struct introd_group_id id;
    /*
     The client that has joined or left.
     */
    struct introd_client client;
    /*
     The application that the client is connected to. Each instance of an application has groups of its own.
     */
    struct introd_bytes application;
    /*
     The instance of the application.
     */
    struct introd_bytes instance;
    /*
     The number of members that the group has now.
     */
    uint64_t members;
    /*
     The group's members, for `introd_host_groups.members`.
     */
    const introd_group *group;
} introd_group_event;

/*
 The host's functions for INTROD_EXT_GROUPS.
 */
typedef struct introd_host_groups {
    /*
     sizeof(introd_host_groups) at the host
     */
    uint32_t struct_size;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     Chooses members of the event's group by one of INTROD_MEMBERS_*, never the event's own client. Writes up to `room` of them, 256
     at most, to `members`, and returns how many it has written.

     Thread: the thread of the callback that received `event`, before that callback returns.
     */
    size_t (*members)(const struct introd_host *host,
                      const struct introd_group_event *event,
                      uint32_t choice,
                      struct introd_client *members,
                      size_t room);
    /*
     Sends the member `to` one small message that names the peer `about` as a member of the group `id`. `how` is one of
     INTROD_HINT_*. Returns INTROD_OK if the message is queued, INTROD_E_FULL, or INTROD_E_ARGUMENT. The host drops the message if `to` is
     not a member of the group by then.

     Thread: any, at any time.
     */
    int32_t (*hint)(const struct introd_host *host,
                    const struct introd_group_id *id,
                    uint32_t how,
                    const struct introd_client *to,
                    const struct introd_peer_id *about);
} introd_host_groups;

/*
 The plugin's functions for INTROD_EXT_GROUPS. Either may be null.
 */
typedef struct introd_plugin_groups {
    /*
     sizeof(introd_plugin_groups) at the plugin
     */
    uint32_t struct_size;
    /*
     Must be 0.
     */
    uint32_t reserved;
    /*
     Tells the plugin that a client has joined a group, so that it can name members to the client, and the client to members, by
     `introd_host_groups.hint`. Verdicts: INTROD_CONTINUE if the next plugin, then the script or the server, may name members as well;
     INTROD_HANDLED if they must not. An error takes `Policy/OnFailure` of the configuration.

     Thread: any worker thread, several at the same time. It must not block.
     */
    int32_t (*join)(introd_instance instance, const struct introd_group_event *event);
    /*
     Tells the plugin that a client has left a group, or has disconnected as a member of it. In the latter case it comes before
     `introd_plugin.disconnect`.

     Thread: any worker thread, several at the same time. It must not block.
     */
    int32_t (*leave)(introd_instance instance, const struct introd_group_event *event);
} introd_plugin_groups;

/*
 Since 1.1. A position on the ring of a group, a number of 256 bits in network order. The first follows the last.
 */
typedef struct introd_ring_position {
    /*
     The position: the SHA-256 digest of the bytes 21 0F and the 32 bytes of the peer ID.
     */
    uint8_t bytes[32];
} introd_ring_position;

/*
 Since 1.1. A member of a group.
 */
typedef struct introd_group_member {
    /*
     sizeof(introd_group_member) at the host
     */
    uint32_t struct_size;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     The key under which servers share the group: a digest made of the group's ID, and of the name of the application if the group is
     confined to it.
     */
    struct introd_group_id group;
    /*
     The member.
     */
    struct introd_peer_id peer;
    /*
     The member's position on the group's ring.
     */
    struct introd_ring_position position;
} introd_group_member;

/*
 Since 1.1. A query for the members around a position of a group's ring.
 */
typedef struct introd_neighbor_query {
    /*
     sizeof(introd_neighbor_query) at the host
     */
    uint32_t struct_size;
    /*
     Unused.
     */
    uint32_t reserved;
    /*
     The key under which servers share the group, as in `introd_group_member`.
     */
    struct introd_group_id group;
    /*
     The peer on whose behalf the host asks. It is never part of the answer. It need not be a member.
     */
    struct introd_peer_id peer;
    /*
     The position around which members are wanted.
     */
    struct introd_ring_position position;
    /*
     How many members are wanted that follow the position most closely, and how many that precede it; at most 16.
     */
    uint32_t near_count;
    /*
     How many other members are wanted at random positions of the ring; at most 16.
     */
    uint32_t far_count;
} introd_neighbor_query;

/*
 Since 1.1. The plugin's functions for INTROD_EXT_GROUP_REGISTRY. The host calls them for members that are clients of this server,
 and for the `registry` object of scripts.
 */
typedef struct introd_plugin_group_registry {
    /*
     sizeof(introd_plugin_group_registry) at the plugin
     */
    uint32_t struct_size;
    /*
     Must be 0.
     */
    uint32_t reserved;
    /*
     Publishes that a peer of this server is a member of a group. The membership counts as long as this server is alive, until
     `leave`: the plugin publishes it again after an outage of what it keeps members in. Further calls for the same member change
     nothing. Returns INTROD_OK when the plugin has accepted the membership, though other servers may see it only later; or
     INTROD_E_FULL or INTROD_E_UNAVAILABLE.

     Thread: any thread of the server, several at the same time. It must not block.
     */
    int32_t (*join)(introd_instance instance, const struct introd_group_member *member);
    /*
     Withdraws what this server has published by `join`. Returns INTROD_OK, also if there was nothing to withdraw.

     Thread: any thread of the server, several at the same time. It must not block.
     */
    int32_t (*leave)(introd_instance instance, const struct introd_group_member *member);
    /*
     Finds the members around a position, on all servers: members of this server may be part of the answer. What `join` has
     accepted before this call must be written before the members are read. Then, of two members that join through different
     servers at the same time, at least one is told of the other. Verdicts: INTROD_MEMBERS with the peers by `host->answer`,
     INTROD_PENDING, or an error.

     Thread: any thread of the server, several at the same time. It must not block.
     */
    int32_t (*neighbors)(introd_instance instance, const struct introd_neighbor_query *query, introd_answer *answer);
} introd_plugin_group_registry;

#endif  /* INTROD_PLUGIN_H */
