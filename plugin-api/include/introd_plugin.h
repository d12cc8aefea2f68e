/* introd_plugin.h: plugins for introd, in C and C++.
 *
 * Generated from plugin-api/src/abi; `INTROD_BLESS=1 cargo test -p introd-plugin` writes it anew. README.md beside its folder
 * leads through writing a plugin.
 *
 * A plugin is a shared library with one exported function:
 *
 *     INTROD_PLUGIN_EXPORT const introd_plugin *introd_plugin_entry_v1(const introd_host *host);
 *
 * Rules that hold everywhere:
 *  - A table begins with its own size. A field is there if it lies within that size: fields are only ever added, at the end.
 *  - What a function is given is valid until it returns, unless its comment says otherwise. Whoever wants to keep it copies it.
 *  - Neither side frees what the other has allocated.
 *  - Text is UTF-8 with a length, without a terminating zero. An empty text may have a null pointer.
 *  - Callbacks of a plugin may come from several threads at the same time. They must not block: the server's network stands
 *    still for as long as one runs.
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

/* Where an answer goes to. Only the host knows what is in it. Valid until the callback that was given it returns. */
typedef struct introd_answer introd_answer;

/* A group as the host has it. Valid until the callback that was given it returns, and in its thread only. */
typedef struct introd_group introd_group;

/* The host writes log lines for the plugin: `introd_host_log`. */
#define INTROD_EXT_LOG "introd.log/1"
/* The plugin's own figures appear among the server's: `introd_host_metrics`. */
#define INTROD_EXT_METRICS "introd.metrics/1"
/* The host calls the plugin at certain times: `introd_host_timer`, and of the plugin `introd_plugin_timer`. */
#define INTROD_EXT_TIMER "introd.timer/1"
/* The plugin keeps the registry that servers share: `introd_plugin_registry`, and of the host `introd_host_registry`. */
#define INTROD_EXT_REGISTRY "introd.registry/1"
/* The plugin has a say in the bootstrap of groups: `introd_plugin_groups`, and of the host `introd_host_groups`. */
#define INTROD_EXT_GROUPS "introd.groups/1"


/*
 The major version of the ABI that this header describes. Plugins and hosts of different major versions refuse each other.
 */
#define INTROD_ABI_MAJOR 1

/*
 The minor version: raised when something is added.
 */
#define INTROD_ABI_MINOR 1

/*
 Done; or, as a verdict, the same as INTROD_CONTINUE.
 */
#define INTROD_OK 0

/*
 Verdict: whoever is next decides: the next plugin, then the script, then the server itself. For a connect: this plugin has
 nothing against it.
 */
#define INTROD_CONTINUE 0

/*
 Verdict on a lookup: the asker is told to try `addresses`. On a connect: the client is told to connect to `uri` instead. On
 a lookup in a registry: the peer is at `addresses`.
 */
#define INTROD_REDIRECT 1

/*
 Verdict on a lookup: the asker and the peer `peer`, which is connected to this server, are introduced to each other, whoever
 was looked for. If no such peer is connected, nobody answers, as for any unknown peer.
 */
#define INTROD_INTRODUCE 2

/*
 Verdict on a lookup: no. Nothing is sent, and it is counted in rtmfp_lookups_denied.
 */
#define INTROD_DENY 3

/*
 Verdict on a lookup: nothing is sent.
 */
#define INTROD_IGNORE 4

/*
 Verdict: it comes later, by the host's `complete` with the token that `defer` has given.
 */
#define INTROD_PENDING 5

/*
 Verdict on a connect: the client is turned away with `text`.
 */
#define INTROD_REJECT 6

/*
 Verdict of a registry: nobody knows the peer.
 */
#define INTROD_NOT_FOUND 7

/*
 Verdict on a group join: this plugin has done what there was to do. Neither a script nor the server does more.
 */
#define INTROD_HANDLED 8

/*
 It failed. As the answer of a callback: what the configuration's `OnFailure` says happens.
 */
#define INTROD_E_FAILED -1

/*
 What was given makes no sense: a null pointer, a text that is not UTF-8, a verdict that does not belong.
 */
#define INTROD_E_ARGUMENT -2

/*
 The token is not valid: it has been completed, its time is over, whoever asked is gone, or it never was one.
 */
#define INTROD_E_TOKEN -3

/*
 A panic or an exception was caught. The instance is in an unknown state, and is not called any more.
 */
#define INTROD_E_PANIC -4

/*
 It does not exist here.
 */
#define INTROD_E_UNSUPPORTED -5

/*
 There is no room.
 */
#define INTROD_E_FULL -6

/*
 Whom it concerns is gone.
 */
#define INTROD_E_GONE -7

/*
 What it takes cannot be reached at present.
 */
#define INTROD_E_UNAVAILABLE -8

/*
 An address of nobody knows where from.
 */
#define INTROD_ORIGIN_UNSPECIFIED 0

/*
 An address that a peer says it has.
 */
#define INTROD_ORIGIN_REPORTED 1

/*
 An address that a peer's packets came from.
 */
#define INTROD_ORIGIN_OBSERVED 2

/*
 The address of a server that can be asked again.
 */
#define INTROD_ORIGIN_RELAY 3

/*
 The lookup names the peer it is for in `target`. One that does not is for an endpoint discriminator of another kind.
 */
#define INTROD_LOOKUP_HAS_TARGET 1

/*
 The asker is a client of this server: `asker` is set.
 */
#define INTROD_LOOKUP_HAS_ASKER 2

/*
 The target is connected to this server.
 */
#define INTROD_LOOKUP_TARGET_IS_LOCAL 4

/*
 Since 1.1. The application is that of the target. That of the asker, if it has one, would have the two introduced, and this one is
 asked besides: a no of either is a no.
 */
#define INTROD_LOOKUP_FOR_TARGET 8

/*
 Since 1.1. The same instance of the plugin has just been asked about this lookup for the asker's application: what counts lookups
 counts this one no more.
 */
#define INTROD_LOOKUP_AGAIN 16

/*
 The client's packets come from another address than before, and it has been shown that it is there.
 */
#define INTROD_CHANGE_FAR_ADDRESS 1

/*
 The client says that it has other addresses than before.
 */
#define INTROD_CHANGE_REPORTED_ADDRESSES 2

/*
 Something does not work.
 */
#define INTROD_LOG_ERROR 1

/*
 Something may not work.
 */
#define INTROD_LOG_WARN 2

/*
 Something that operators want to know.
 */
#define INTROD_LOG_INFO 3

/*
 Something that helps to find mistakes.
 */
#define INTROD_LOG_DEBUG 4

/*
 Every step.
 */
#define INTROD_LOG_TRACE 5

/*
 A figure that only grows.
 */
#define INTROD_METRIC_COUNTER 1

/*
 A figure that goes up and down.
 */
#define INTROD_METRIC_GAUGE 2

/*
 The registry tells of changes by `changed`.
 */
#define INTROD_REGISTRY_CHANGES 1

/*
 Since 1.1. The peer's session has proven that the peer's id is its own, which takes a certificate with lasting keys. Any other
 certificate can be shown by whoever has seen it: a newcomer that has proven nothing is not to take the place of a peer that
 another server has.
 */
#define INTROD_PUBLICATION_PROVEN 1

/*
 Since 1.1. Nothing is heard of the peer's session though it was asked for a sign of life: it may be gone, and what another server says
 of the peer counts before this.
 */
#define INTROD_PUBLICATION_SILENT 2

/*
 Members next to the newcomer on the group's ring, the nearest first, on both sides.
 */
#define INTROD_MEMBERS_NEIGHBORS 1

/*
 Those who joined last, the newest first.
 */
#define INTROD_MEMBERS_NEWEST 2

/*
 Any, each of them as likely as another.
 */
#define INTROD_MEMBERS_RANDOM 3

/*
 The other may be a good neighbour: the member connects to it if its place in the group suggests so.
 */
#define INTROD_HINT_MEMBER 1

/*
 The other is to be a neighbour: the member is advised to connect now. Clients know of one message for both at present.
 */
#define INTROD_HINT_NEIGHBOR 2

/*
 So many bytes at that address.
 */
typedef struct introd_bytes {
    /*
     The first; may be null if there are none.
     */
    const uint8_t *ptr;
    /*
     How many.
     */
    size_t len;
} introd_bytes;

/*
 An Internet address with a UDP port.
 */
typedef struct introd_address {
    /*
     The IP address in network order. Of an IPv4 address these are the first four bytes, and the rest is zero.
     */
    uint8_t ip[16];
    /*
     The port, as a number.
     */
    uint16_t port;
    /*
     4 or 6.
     */
    uint8_t family;
    /*
     How it is known: one of INTROD_ORIGIN.
     */
    uint8_t origin;
} introd_address;

/*
 The id of a peer: the SHA-256 digest of its certificate, which clients show as 64 hexadecimal digits.
 */
typedef struct introd_peer_id {
    /*
     Its bytes.
     */
    uint8_t bytes[32];
} introd_peer_id;

/*
 A verdict with what belongs to it. Fields that do not belong to its kind are ignored, and should be zero.
 */
typedef struct introd_verdict {
    /*
     sizeof(introd_verdict)
     */
    uint32_t struct_size;
    /*
     One of the verdicts, or an error.
     */
    int32_t kind;
    /*
     INTROD_REDIRECT of a lookup: where to try, the best first. The host sends 16 of them at most. An empty list is an error.
     */
    const struct introd_address *addresses;
    /*
     How many.
     */
    size_t address_count;
    /*
     INTROD_INTRODUCE: whom.
     */
    const struct introd_peer_id *peer;
    /*
     INTROD_REJECT: what the client is told; up to 1024 bytes. An error: why, for the log.
     */
    struct introd_bytes text;
    /*
     INTROD_REDIRECT of a connect: where the client should connect to instead, up to 1024 bytes.
     */
    struct introd_bytes uri;
} introd_verdict;

/*
 Names something that is still to be answered, completed or stopped. 0 is none. A token is never used again.
 */
typedef uint64_t introd_token;

/*
 A client: a connection of a peer. The same peer may come back as another client.
 */
typedef struct introd_client {
    /*
     Names the connection. 0 is none.
     */
    uint64_t id;
    /*
     The peer.
     */
    struct introd_peer_id peer;
} introd_client;

/*
 What the host knows of a peer that is connected to it.
 */
typedef struct introd_peer {
    /*
     sizeof(introd_peer), set by the plugin before the call
     */
    uint32_t struct_size;
    /*
     How many addresses `reported` has room for, set by the plugin; the host sets how many it has put there.
     */
    uint32_t reported_count;
    /*
     The client by which it is connected.
     */
    struct introd_client client;
    /*
     Where its packets come from.
     */
    struct introd_address observed;
    /*
     Room of the plugin's own for the addresses that the peer says it has; may be null if `reported_count` is 0.
     */
    struct introd_address *reported;
} introd_peer;

/*
 What the host offers to one instance of a plugin. Valid from the call that it comes with until the process ends. All its
 functions may be called from any thread at any time, within callbacks and outside them, and do not block.
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
     Nothing yet.
     */
    uint32_t reserved;
    /*
     The host's own.
     */
    void *context;
    /*
     What the host is called.
     */
    struct introd_bytes name;
    /*
     Its version.
     */
    struct introd_bytes version;
    /*
     Says what the answer of the running callback is, for verdicts that need more than their number. Copies the verdict.
     Returns its kind, so that a callback can end with `return host->answer(host, answer, &verdict);`, or INTROD_E_ARGUMENT.
     Only in the callback that was given `answer`, in its thread.
     */
    int32_t (*answer)(const struct introd_host *host, introd_answer *answer, const struct introd_verdict *verdict);
    /*
     Takes a token for the running callback, which then returns INTROD_PENDING. Whoever has the token may call `complete`
     at once, even before the callback has returned. 0 if there is none: the callback is not one that may be pending, has
     taken one already, or too much is pending. Only in the callback that was given `answer`, in its thread.
     */
    introd_token (*defer)(const struct introd_host *host, introd_answer *answer);
    /*
     Gives the verdict that a callback has left pending. Copies the verdict. The first call for a token counts: INTROD_OK.
     Afterwards, and when nobody waits any more, INTROD_E_TOKEN: this does no harm, and is bound to happen when a verdict and
     its deadline meet. INTROD_E_ARGUMENT if the verdict makes no sense: the token stays.
     */
    int32_t (*complete)(const struct introd_host *host, introd_token token, const struct introd_verdict *verdict);
    /*
     What is known of a peer that is connected to this server: INTROD_OK, or INTROD_NOT_FOUND.
     */
    int32_t (*find_peer)(const struct introd_host *host, const struct introd_peer_id *id, struct introd_peer *peer);
    /*
     Has a peer that is connected to this server told of somebody who looks for it, so that it opens its NAT to them. This is
     one half of an introduction; INTROD_REDIRECT is the other. INTROD_OK if it is on its way, INTROD_NOT_FOUND, or
     INTROD_E_FULL. `tag` is that of the lookup.
     */
    int32_t (*introduce)(const struct introd_host *host,
                         const struct introd_peer_id *target,
                         const struct introd_address *initiator,
                         struct introd_bytes tag);
    /*
     Closes a client's connection. INTROD_OK if that is on its way: if the client is gone by then, nothing happens. Or
     INTROD_E_FULL.
     */
    int32_t (*disconnect)(const struct introd_host *host, const struct introd_client *client);
    /*
     A table of further functions, `introd_host_log` for INTROD_EXT_LOG and so on; null if the host has none of that name.
     Valid until the process ends. `id` is terminated by a zero.
     */
    const void *(*get_extension)(const struct introd_host *host, const char *id);
} introd_host;

/*
 What a new instance of a plugin is told.
 */
typedef struct introd_create {
    /*
     sizeof(introd_create) at the host
     */
    uint32_t struct_size;
    /*
     Nothing yet.
     */
    uint32_t reserved;
    /*
     The configuration: an XML document whose root is `<Config>`, as it stands in Application.xml, with attributes turned
     into elements and variables replaced. `<Config></Config>` if there is none.
     */
    struct introd_bytes config;
    /*
     The folder from which relative paths in the configuration count.
     */
    struct introd_bytes root;
} introd_create;

/*
 An instance of a plugin: whatever its `create` has made. The host does not look into it.
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
     How many `arguments`.
     */
    uint32_t argument_count;
    /*
     The client.
     */
    struct introd_client client;
    /*
     Where its packets come from. It is there: the handshake has shown it.
     */
    struct introd_address far_address;
    /*
     The address of the server that it reached.
     */
    struct introd_address near_address;
    /*
     The client's nonce of this session (RFC 7425 section 4.6.5).
     */
    uint8_t far_nonce[32];
    /*
     The server's.
     */
    uint8_t near_nonce[32];
    /*
     The application that it wants.
     */
    struct introd_bytes application;
    /*
     The instance of the application.
     */
    struct introd_bytes instance;
    /*
     tcUrl, as it came.
     */
    struct introd_bytes uri;
    /*
     The query of the URI, without the question mark.
     */
    struct introd_bytes query;
    /*
     flashVer: the client's platform and version.
     */
    struct introd_bytes agent;
    /*
     swfUrl: where the client's program came from.
     */
    struct introd_bytes referrer;
    /*
     pageUrl: the page that it is on.
     */
    struct introd_bytes page_url;
    /*
     What the client's program gave to connect() besides the URI: strings as they are, numbers and booleans as JavaScript
     writes them, everything else empty.
     */
    const struct introd_bytes *arguments;
} introd_connect;

/*
 A client is gone.
 */
typedef struct introd_disconnect {
    /*
     sizeof(introd_disconnect) at the host
     */
    uint32_t struct_size;
    /*
     Nothing yet.
     */
    uint32_t reserved;
    /*
     The client.
     */
    struct introd_client client;
    /*
     The application that it was in.
     */
    struct introd_bytes application;
    /*
     The instance of the application.
     */
    struct introd_bytes instance;
    /*
     Why, for people.
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
     What has changed: some of INTROD_CHANGE.
     */
    uint32_t changed;
    /*
     The client.
     */
    struct introd_client client;
    /*
     The application that it is in.
     */
    struct introd_bytes application;
    /*
     The instance of the application.
     */
    struct introd_bytes instance;
    /*
     Where its packets come from now.
     */
    struct introd_address far_address;
    /*
     How many `reported`.
     */
    uint32_t reported_count;
    /*
     INTROD_CHANGE_REPORTED_ADDRESSES: all that it says it has.
     */
    const struct introd_address *reported;
} introd_address_change;

/*
 Somebody looks for a peer.
 */
typedef struct introd_lookup {
    /*
     sizeof(introd_lookup) at the host
     */
    uint32_t struct_size;
    /*
     Some of INTROD_LOOKUP.
     */
    uint32_t flags;
    /*
     Who is looked for, if INTROD_LOOKUP_HAS_TARGET.
     */
    struct introd_peer_id target;
    /*
     Who looks, if INTROD_LOOKUP_HAS_ASKER. Anybody can look for peers without being a client.
     */
    struct introd_client asker;
    /*
     Where the lookup came from. Its sender need not be there: addresses can be forged.
     */
    struct introd_address initiator;
    /*
     The number of the server's interface at which it came in.
     */
    uint32_t interface_id;
    /*
     The tag of the lookup, which its answer repeats.
     */
    struct introd_bytes tag;
    /*
     The whole endpoint discriminator (RFC 7425 section 4.4.2.1).
     */
    struct introd_bytes epd;
    /*
     The application that the plugin is asked for: with INTROD_LOOKUP_FOR_TARGET that of the target, else that of the asker, or that
     of the target where the asker has none, or the default one.
     */
    struct introd_bytes application;
    /*
     The instance of the application; empty if there is none.
     */
    struct introd_bytes instance;
    /*
     Since 1.1. The application that the asker is a client of; empty if it is no client.
     */
    struct introd_bytes asker_application;
    /*
     Since 1.1. The instance of that application.
     */
    struct introd_bytes asker_instance;
} introd_lookup;

/*
 What a plugin offers. It is the same for all its instances, and valid until the process ends: libraries are never unloaded.

 An instance is made for each plugin element of the configuration that differs from others, and serves all applications
 that have it. Its life: `create`; then any of the others, from any thread, at the same time; at last `destroy`, when no
 other callback runs and none will. After a reload of the configuration a new instance may be made before the old one's end.
 An instance that fails with INTROD_E_PANIC is never called again, not even for `destroy`.

 Functions that a plugin does not need are null, except `create` and `destroy`. Where no verdicts are listed, a function returns
 INTROD_OK, or an error, which is logged.
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
     Zero.
     */
    uint32_t reserved;
    /*
     What the plugin is called, in log and metrics: letters, digits, `-` and `_`, up to 64 of them.
     */
    struct introd_bytes name;
    /*
     Its version.
     */
    struct introd_bytes version;
    /*
     What it does, in a sentence.
     */
    struct introd_bytes description;
    /*
     Makes an instance and puts it into `instance`; returns INTROD_OK. On an error the applications that name the
     plugin turn clients away, or stay as they are; `host->answer` with the error and a text says why. May block: it comes at the
     start and at reloads.
     */
    int32_t (*create)(const struct introd_host *host,
                      const struct introd_create *create,
                      introd_answer *answer,
                      introd_instance *instance);
    /*
     Ends an instance: when it returns, no thread of the instance runs any more. Tokens that are still open get INTROD_E_TOKEN
     from then on. May block, for a short time.
     */
    int32_t (*destroy)(introd_instance instance);
    /*
     A client wants to connect. Verdicts: INTROD_CONTINUE, INTROD_REJECT, INTROD_REDIRECT, INTROD_PENDING.
     */
    int32_t (*connect)(introd_instance instance, const struct introd_connect *connect, introd_answer *answer);
    /*
     A client is gone, accepted or not: comes once for each client whose connect this instance was asked about, as the last
     that it is told of the client. An instance that was made while the client was there is told, too.
     */
    int32_t (*disconnect)(introd_instance instance, const struct introd_disconnect *disconnect);
    /*
     The addresses of a client that has been accepted have changed.
     */
    int32_t (*addresses_changed)(introd_instance instance, const struct introd_address_change *change);
    /*
     Somebody looks for a peer. Verdicts: INTROD_CONTINUE, INTROD_REDIRECT, INTROD_INTRODUCE, INTROD_DENY, INTROD_IGNORE,
     INTROD_PENDING.
     */
    int32_t (*lookup)(introd_instance instance, const struct introd_lookup *lookup, introd_answer *answer);
    /*
     Nobody waits for the token any more: its time is over, or whoever asked is gone. From now on `complete` returns
     INTROD_E_TOKEN for it. A plugin that keeps something for its tokens lets go of it here.
     */
    int32_t (*cancel)(introd_instance instance, introd_token token);
    /*
     A table of further functions that the plugin offers, `introd_plugin_registry` for INTROD_EXT_REGISTRY and so on; null if
     it has none of that name. Called before any instance is made. `id` is terminated by a zero.
     */
    const void *(*get_extension)(const char *id);
} introd_plugin;

/*
 The one function that a plugin's library exports, under the name `introd_plugin_entry_v1`: returns its table, or null if it
 does not want to work with this host. Called once for each loading of the library, before everything else. Of the host's
 table only the sizes, the versions and the names are of use here: there is no instance yet.
 */
typedef const struct introd_plugin *(*introd_plugin_entry)(const struct introd_host *host);

/*
 What the host offers for INTROD_EXT_LOG. Any thread.
 */
typedef struct introd_host_log {
    /*
     sizeof(introd_host_log) at the host
     */
    uint32_t struct_size;
    /*
     Nothing yet.
     */
    uint32_t reserved;
    /*
     Whether a line of that level would be written anywhere: 1 or 0.
     */
    uint32_t (*is_enabled)(const struct introd_host *host, uint32_t level);
    /*
     Writes a line, with the plugin's name. Copies the text; of more than 4096 bytes the rest is cut off.
     */
    void (*log)(const struct introd_host *host, uint32_t level, struct introd_bytes text);
} introd_host_log;

/*
 What the host offers for INTROD_EXT_METRICS. Any thread.
 */
typedef struct introd_host_metrics {
    /*
     sizeof(introd_host_metrics) at the host
     */
    uint32_t struct_size;
    /*
     Nothing yet.
     */
    uint32_t reserved;
    /*
     Makes a figure of that kind, or finds it: its name is a-z, 0-9 and `_`, up to 64 of them, and shows as
     plugin_NAME_FIGURE. Copies both texts. 0 if it is refused: a bad name, another kind, or more than 256 figures.
     */
    uint32_t (*metric)(const struct introd_host *host, uint32_t kind, struct introd_bytes name, struct introd_bytes help);
    /*
     Adds to a counter or to a gauge. Cheap enough for every lookup.
     */
    void (*add)(const struct introd_host *host, uint32_t metric, int64_t amount);
    /*
     Sets a gauge.
     */
    void (*set)(const struct introd_host *host, uint32_t metric, int64_t value);
} introd_host_metrics;

/*
 What the host offers for INTROD_EXT_TIMER. Any thread.
 */
typedef struct introd_host_timer {
    /*
     sizeof(introd_host_timer) at the host
     */
    uint32_t struct_size;
    /*
     Nothing yet.
     */
    uint32_t reserved;
    /*
     Begins a timer that runs out after so many milliseconds, and then every so many more; once, if `every_ms` is 0. `user`
     comes back in `on_timer`. 0 if the plugin has no `introd_plugin_timer`, or more than 1024 timers.
     */
    introd_token (*start)(const struct introd_host *host, uint64_t after_ms, uint64_t every_ms, uint64_t user);
    /*
     Stops a timer: INTROD_OK, or INTROD_E_TOKEN if it has run out. It may run out one last time meanwhile.
     */
    int32_t (*stop)(const struct introd_host *host, introd_token timer);
} introd_host_timer;

/*
 What a plugin offers for INTROD_EXT_TIMER.
 */
typedef struct introd_plugin_timer {
    /*
     sizeof(introd_plugin_timer) at the plugin
     */
    uint32_t struct_size;
    /*
     Zero.
     */
    uint32_t reserved;
    /*
     A timer runs out. Comes on a thread for timers, which all plugins share, one at a time: it may take some milliseconds.
     */
    int32_t (*on_timer)(introd_instance instance, introd_token timer, uint64_t user);
} introd_plugin_timer;

/*
 What the host offers for INTROD_EXT_REGISTRY. Any thread.
 */
typedef struct introd_host_registry {
    /*
     sizeof(introd_host_registry) at the host
     */
    uint32_t struct_size;
    /*
     Nothing yet.
     */
    uint32_t reserved;
    /*
     Another server has published or withdrawn a peer: it can be reached there now, or nowhere if there are no addresses.
     */
    void (*changed)(const struct introd_host *host,
                    const struct introd_peer_id *peer,
                    const struct introd_address *addresses,
                    size_t address_count);
} introd_host_registry;

/*
 Since 1.1. Where a peer can be reached, and how its session stands.
 */
typedef struct introd_publication {
    /*
     sizeof(introd_publication) at the host
     */
    uint32_t struct_size;
    /*
     Some of INTROD_PUBLICATION.
     */
    uint32_t flags;
    /*
     The peer, and the session by which it is connected.
     */
    struct introd_client client;
    /*
     Where it can be reached.
     */
    const struct introd_address *addresses;
    /*
     How many `addresses`. Without any, only how the session stands may have changed, of what was said of the peer before, if
     something was.
     */
    size_t address_count;
} introd_publication;

/*
 What a plugin offers for INTROD_EXT_REGISTRY. The host asks it what others asked the host; nothing here may block.
 */
typedef struct introd_plugin_registry {
    /*
     sizeof(introd_plugin_registry) at the plugin
     */
    uint32_t struct_size;
    /*
     Some of INTROD_REGISTRY.
     */
    uint32_t capabilities;
    /*
     Says where a peer can be reached, instead of what was said before: INTROD_OK when it is taken in, which need not mean that
     others can see it yet; INTROD_E_FULL or INTROD_E_UNAVAILABLE. Any thread.
     */
    int32_t (*publish)(introd_instance instance,
                       const struct introd_peer_id *peer,
                       const struct introd_address *addresses,
                       size_t address_count);
    /*
     Takes back what this server has published of a peer: INTROD_OK, whether there was something or not. Any thread.
     */
    int32_t (*withdraw)(introd_instance instance, const struct introd_peer_id *peer);
    /*
     Where a peer can be reached: INTROD_REDIRECT by `host->answer`, INTROD_NOT_FOUND, INTROD_PENDING, or an error. Any thread.
     */
    int32_t (*lookup)(introd_instance instance, const struct introd_peer_id *peer, introd_answer *answer);
    /*
     Since 1.1. As `publish`, which the host calls instead where this is null, unless the session is silent; what policies publish comes
     by `publish` in any case. Any thread.
     */
    int32_t (*publish_session)(introd_instance instance, const struct introd_publication *publication);
} introd_plugin_registry;

/*
 A group: the digest of its canonical groupspec.
 */
typedef struct introd_group_id {
    /*
     Its bytes.
     */
    uint8_t bytes[32];
} introd_group_id;

/*
 A client joins or leaves a group.
 */
typedef struct introd_group_event {
    /*
     sizeof(introd_group_event) at the host
     */
    uint32_t struct_size;
    /*
     Nothing yet.
     */
    uint32_t reserved;
    /*
     The group.
     */
    struct introd_group_id id;
    /*
     The client.
     */
    struct introd_client client;
    /*
     The application that it is in: groups of different instances have nothing to do with each other.
     */
    struct introd_bytes application;
    /*
     The instance of the application.
     */
    struct introd_bytes instance;
    /*
     How many members the group has now.
     */
    uint64_t members;
    /*
     For `members` of the host.
     */
    const introd_group *group;
} introd_group_event;

/*
 What the host offers for INTROD_EXT_GROUPS.
 */
typedef struct introd_host_groups {
    /*
     sizeof(introd_host_groups) at the host
     */
    uint32_t struct_size;
    /*
     Nothing yet.
     */
    uint32_t reserved;
    /*
     Members of the group, chosen by one of INTROD_MEMBERS, without the client of the event: writes up to `room` of them to
     `members`, and returns how many. Only in the callback that was given `event`, in its thread.
     */
    size_t (*members)(const struct introd_host *host,
                      const struct introd_group_event *event,
                      uint32_t choice,
                      struct introd_client *members,
                      size_t room);
    /*
     Names `about` to the member `to`, in one small message, and advises it to connect in the way of one of INTROD_HINT.
     INTROD_OK if it is on its way, or INTROD_E_FULL. Any thread; a client that is no member by then is told nothing.
     */
    int32_t (*hint)(const struct introd_host *host,
                    const struct introd_group_id *id,
                    uint32_t how,
                    const struct introd_client *to,
                    const struct introd_peer_id *about);
} introd_host_groups;

/*
 What a plugin offers for INTROD_EXT_GROUPS. Functions that it does not need are null.
 */
typedef struct introd_plugin_groups {
    /*
     sizeof(introd_plugin_groups) at the plugin
     */
    uint32_t struct_size;
    /*
     Zero.
     */
    uint32_t reserved;
    /*
     A client has joined a group. INTROD_CONTINUE: others may name members to it, too. INTROD_HANDLED: nobody else does. Any
     worker's thread; must not block.
     */
    int32_t (*join)(introd_instance instance, const struct introd_group_event *event);
    /*
     A client has left a group, or is gone. Comes before `disconnect`. Any worker's thread; must not block.
     */
    int32_t (*leave)(introd_instance instance, const struct introd_group_event *event);
} introd_plugin_groups;

#endif  /* INTROD_PLUGIN_H */
