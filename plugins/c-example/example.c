/* A plugin for introd in C: it denies lookups of the peers that its configuration names, and counts them. */

#include <introd_plugin.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether a table has a field: the table of an older host is shorter. */
#define HAS(table, type, field) ((table)->struct_size >= offsetof(type, field) + sizeof((table)->field))

/* The data of an instance. Nothing of it changes after `create`, so that callbacks need no lock. */
typedef struct filter {
    const introd_host *host;
    const introd_host_metrics *metrics;
    uint32_t denied;
    size_t count;
    introd_peer_id peers[]; /* sorted */
} filter;

static introd_bytes text(const char *chars)
{
    introd_bytes bytes = {(const uint8_t *)chars, strlen(chars)};
    return bytes;
}

static int compare(const void *left, const void *right)
{
    return memcmp(left, right, sizeof(introd_peer_id));
}

static int digit(char character)
{
    if (character >= '0' && character <= '9') {
        return character - '0';
    }
    if (character >= 'a' && character <= 'f') {
        return character - 'a' + 10;
    }
    if (character >= 'A' && character <= 'F') {
        return character - 'A' + 10;
    }
    return -1;
}

/* Reads 64 hexadecimal digits between `begin` and `end`. Returns 0 if there is anything else. */
static int parse_peer(const char *begin, const char *end, introd_peer_id *peer)
{
    if (end - begin != 64) {
        return 0;
    }
    for (size_t place = 0; place < 32; place++) {
        int high = digit(begin[2 * place]);
        int low = digit(begin[2 * place + 1]);
        if (high < 0 || low < 0) {
            return 0;
        }
        peer->bytes[place] = (uint8_t)(high << 4 | low);
    }
    return 1;
}

/* Goes over blanks, and over `text` if that follows. Returns whether it does. */
static int take(const char **place, const char *text)
{
    *place += strspn(*place, " \t\r\n");
    size_t length = strlen(text);
    if (strncmp(*place, text, length) != 0) {
        return 0;
    }
    *place += length;
    return 1;
}

/*
 Reads all <deny> elements. Returns their number, or -1 if one is invalid, or if there is anything else: a setting with a misspelled name
 must not be passed over, since a peer would not be denied then. Stores the peers in `peers` if it is not null.
 */
static long read_denied(const char *xml, introd_peer_id *peers)
{
    const char *place = xml;
    long count = 0;
    if (!take(&place, "<Config>")) {
        return -1;
    }
    while (take(&place, "<deny>")) {
        introd_peer_id peer;
        const char *end = strchr(place, '<');
        if (!end || !parse_peer(place, end, &peer)) {
            return -1;
        }
        place = end;
        if (!take(&place, "</deny>")) {
            return -1;
        }
        if (peers) {
            peers[count] = peer;
        }
        count++;
    }
    return take(&place, "</Config>") ? count : -1;
}

/* Tells the host why `create` has failed. */
static int32_t failed(const introd_host *host, introd_answer *answer, const char *why)
{
    introd_verdict verdict = {0};
    verdict.struct_size = sizeof verdict;
    verdict.kind = INTROD_E_FAILED;
    verdict.text = text(why);
    return host->answer(host, answer, &verdict);
}

static void log_count(const introd_host *host, size_t count)
{
    const introd_host_log *log = host->get_extension(host, INTROD_EXT_LOG);
    if (log && HAS(log, introd_host_log, log)) {
        char line[64];
        snprintf(line, sizeof line, "denies lookups of %zu peers", count);
        log->log(host, INTROD_LOG_INFO, text(line));
    }
}

static int32_t create(const introd_host *host, const introd_create *create, introd_answer *answer,
                      introd_instance *instance)
{
    int32_t status = INTROD_E_FAILED;
    char *xml = malloc(create->config.len + 1);
    if (!xml) {
        return failed(host, answer, "out of memory");
    }
    if (create->config.len > 0) {
        memcpy(xml, create->config.ptr, create->config.len);
    }
    xml[create->config.len] = 0;
    long count = read_denied(xml, NULL);
    if (count < 0) {
        status = failed(host, answer, "<Config> may have <deny> elements alone, each a peer ID of 64 hexadecimal digits");
        goto end;
    }
    filter *made = calloc(1, sizeof(filter) + (size_t)count * sizeof(introd_peer_id));
    if (!made) {
        status = failed(host, answer, "out of memory");
        goto end;
    }
    made->host = host;
    made->count = (size_t)count;
    read_denied(xml, made->peers);
    qsort(made->peers, made->count, sizeof(introd_peer_id), compare);
    made->metrics = host->get_extension(host, INTROD_EXT_METRICS);
    if (made->metrics && HAS(made->metrics, introd_host_metrics, add)) {
        made->denied = made->metrics->metric(host, INTROD_METRIC_COUNTER, text("denied"), text("Lookups denied"));
    }
    log_count(host, made->count);
    *instance = made;
    status = INTROD_OK;
end:
    free(xml);
    return status;
}

static int32_t destroy(introd_instance instance)
{
    free(instance);
    return INTROD_OK;
}

static int32_t lookup(introd_instance instance, const introd_lookup *lookup, introd_answer *answer)
{
    const filter *own = instance;
    (void)answer;
    if (!(lookup->flags & INTROD_LOOKUP_HAS_TARGET)) {
        return INTROD_CONTINUE;
    }
    if (!bsearch(&lookup->target, own->peers, own->count, sizeof(introd_peer_id), compare)) {
        return INTROD_CONTINUE;
    }
    if (own->denied) {
        own->metrics->add(own->host, own->denied, 1);
    }
    return INTROD_DENY;
}

#define TEXT(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}

static const introd_plugin plugin = {
    .struct_size = sizeof(introd_plugin),
    .abi_major = INTROD_ABI_MAJOR,
    .abi_minor = INTROD_ABI_MINOR,
    .name = TEXT("example-c"),
    .version = TEXT("1.0.0"),
    .description = TEXT("Denies lookups of the peers that its configuration names"),
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
};

INTROD_PLUGIN_EXPORT const introd_plugin *introd_plugin_entry_v1(const introd_host *host)
{
    /* The plugin uses the fields up to this one without checking for them. Every host of this major version has them. */
    return HAS(host, introd_host, get_extension) ? &plugin : NULL;
}
