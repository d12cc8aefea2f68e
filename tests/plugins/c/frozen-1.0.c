/* A plugin of release 1.0 of the ABI, built with the header of that release. It must load for ever: do not change it. */

#include <introd_plugin.h>

#include <string.h>

static const introd_host *the_host;

static int32_t create(const introd_host *host, const introd_create *create, introd_answer *answer,
                      introd_instance *instance)
{
    (void)answer;
    if (host->abi_major != 1 || create->config.len < 8 || memcmp(create->config.ptr, "<Config>", 8) != 0) {
        return INTROD_E_ARGUMENT;
    }
    the_host = host;
    *instance = &the_host;
    return INTROD_OK;
}

static int32_t destroy(introd_instance instance)
{
    return instance == &the_host ? INTROD_OK : INTROD_E_ARGUMENT;
}

/* The verdict is the first byte of the target. */
static int32_t lookup(introd_instance instance, const introd_lookup *lookup, introd_answer *answer)
{
    introd_verdict verdict;
    introd_address address;
    introd_token token;
    memset(&verdict, 0, sizeof verdict);
    verdict.struct_size = sizeof verdict;
    verdict.kind = lookup->target.bytes[0];
    if (instance != &the_host || lookup->application.len != 3 || lookup->initiator.family != 4) {
        return INTROD_E_ARGUMENT;
    }
    switch (verdict.kind) {
    case INTROD_REDIRECT:
        address = lookup->initiator;
        address.port = 7;
        verdict.addresses = &address;
        verdict.address_count = 1;
        break;
    case INTROD_INTRODUCE:
        verdict.peer = &lookup->target;
        break;
    case INTROD_PENDING:
        token = the_host->defer(the_host, answer);
        verdict.kind = INTROD_DENY;
        if (the_host->complete(the_host, token, &verdict) != INTROD_OK) {
            return INTROD_E_TOKEN;
        }
        return INTROD_PENDING;
    default:
        break;
    }
    return the_host->answer(the_host, answer, &verdict);
}

static const introd_plugin plugin = {
    sizeof(introd_plugin), 1,    0,    0,    {(const uint8_t *)"frozen", 6}, {(const uint8_t *)"1.0", 3}, {NULL, 0},
    create,                destroy, NULL, NULL, NULL,                          lookup,                      NULL,
    NULL,
};

INTROD_PLUGIN_EXPORT const introd_plugin *introd_plugin_entry_v1(const introd_host *host);

const introd_plugin *introd_plugin_entry_v1(const introd_host *host)
{
    return host->struct_size >= sizeof(introd_host) ? &plugin : NULL;
}
