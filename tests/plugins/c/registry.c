/* A registry that keeps nothing and checks what it is told: built with the header of a release, or with today's. It is of use with
 * peers whose id says what is to be told of them: flags, session, number of addresses. */

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
    return INTROD_OK;
}

static int32_t destroy(introd_instance instance)
{
    return instance == &the_host ? INTROD_OK : INTROD_E_ARGUMENT;
}

/* What says nothing of a session. */
static int32_t publish(introd_instance instance, const introd_peer_id *peer, const introd_address *addresses,
                       size_t address_count)
{
    (void)addresses;
    if (instance != &the_host || address_count == 0 || address_count != peer->bytes[2]) {
        return INTROD_E_ARGUMENT;
    }
    return INTROD_E_FULL;
}

static int32_t withdraw(introd_instance instance, const introd_peer_id *peer)
{
    (void)instance;
    (void)peer;
    return INTROD_OK;
}

static int32_t find(introd_instance instance, const introd_peer_id *peer, introd_answer *answer)
{
    (void)instance;
    (void)peer;
    (void)answer;
    return INTROD_NOT_FOUND;
}

#if INTROD_ABI_MINOR >= 1
static int32_t publish_session(introd_instance instance, const introd_publication *publication)
{
    const uint8_t *expected = publication->client.peer.bytes;
    if (instance != &the_host || publication->struct_size < sizeof *publication ||
        publication->flags != expected[0] || publication->client.id != expected[1] ||
        publication->address_count != expected[2]) {
        return INTROD_E_ARGUMENT;
    }
    return INTROD_OK;
}
#endif

static const introd_plugin_registry registry = {
    sizeof(introd_plugin_registry), 0, publish, withdraw, find,
#if INTROD_ABI_MINOR >= 1
    publish_session, NULL,
#endif
#if INTROD_ABI_MINOR >= 2
    NULL,
#endif
#if INTROD_ABI_MINOR >= 4
    NULL, NULL, NULL,
#endif
};

static const void *get_extension(const char *id)
{
    return strcmp(id, INTROD_EXT_REGISTRY) == 0 ? &registry : NULL;
}

static const introd_plugin plugin = {
    sizeof(introd_plugin), INTROD_ABI_MAJOR, INTROD_ABI_MINOR, 0, {(const uint8_t *)"checking", 8},
    {(const uint8_t *)"1", 1}, {NULL, 0}, create, destroy, NULL, NULL, NULL, NULL, NULL, get_extension,
};

INTROD_PLUGIN_EXPORT const introd_plugin *introd_plugin_entry_v1(const introd_host *host);

const introd_plugin *introd_plugin_entry_v1(const introd_host *host)
{
    return host->struct_size >= sizeof(introd_host) ? &plugin : NULL;
}
