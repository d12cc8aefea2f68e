/* A plugin whose verdicts ask for a relay. The first byte of the target says in which way. */

#include <introd_plugin.h>

#include <string.h>

static const introd_host *the_host;

static int32_t create(const introd_host *host, const introd_create *create, introd_answer *answer,
                      introd_instance *instance)
{
    (void)create;
    (void)answer;
    the_host = host;
    *instance = &the_host;
    return host->abi_minor >= 3 ? INTROD_OK : INTROD_E_UNSUPPORTED;
}

static int32_t destroy(introd_instance instance)
{
    (void)instance;
    return INTROD_OK;
}

static int32_t lookup(introd_instance instance, const introd_lookup *lookup, introd_answer *answer)
{
    introd_peer_id other;
    introd_verdict verdict;
    introd_token token;
    (void)instance;
    memset(&verdict, 0, sizeof verdict);
    memset(&other, 9, sizeof other);
    verdict.struct_size = sizeof verdict;
    verdict.kind = INTROD_RELAY;
    switch (lookup->target.bytes[0]) {
    case 1: /* with limits */
        verdict.relay_bytes_per_second = 64000;
        verdict.relay_lifetime_ms = 60000;
        return the_host->answer(the_host, answer, &verdict);
    case 2: /* to another peer */
        verdict.peer = &other;
        return the_host->answer(the_host, answer, &verdict);
    case 3: /* later */
        verdict.relay_lifetime_ms = 1;
        token = the_host->defer(the_host, answer);
        return the_host->complete(the_host, token, &verdict) == INTROD_OK ? INTROD_PENDING : INTROD_E_TOKEN;
    case 4: /* as a plugin that was built with the header of 1.2 would: without the limits */
        verdict.struct_size = offsetof(introd_verdict, relay_bytes_per_second);
        verdict.relay_bytes_per_second = 5;
        return the_host->answer(the_host, answer, &verdict);
    default: /* without details */
        return INTROD_RELAY;
    }
}

static int32_t connect(introd_instance instance, const introd_connect *connect, introd_answer *answer)
{
    (void)instance;
    (void)connect;
    (void)answer;
    return INTROD_RELAY;
}

static const introd_plugin plugin = {
    .struct_size = sizeof(introd_plugin),
    .abi_major = INTROD_ABI_MAJOR,
    .abi_minor = INTROD_ABI_MINOR,
    .name = {(const uint8_t *)"relaying", 8},
    .version = {(const uint8_t *)"1.0", 3},
    .create = create,
    .destroy = destroy,
    .connect = connect,
    .lookup = lookup,
};

INTROD_PLUGIN_EXPORT const introd_plugin *introd_plugin_entry_v1(const introd_host *host);

const introd_plugin *introd_plugin_entry_v1(const introd_host *host)
{
    return host->struct_size >= sizeof(introd_host) ? &plugin : NULL;
}
