/* A plugin that crashes: where, its configuration says by <create>, <lookup> or <destroy>; how, by the text in it. With the definition
 * AT_LOAD it crashes when the library is loaded. */

#include <introd_plugin.h>

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static char config[1024];

/* Fills the stack. */
static int deeper(volatile char *above)
{
    volatile char frame[1024];
    frame[0] = above[0];
    return frame[0] ? 0 : deeper(frame) + frame[0];
}

static void crash(const char *how)
{
    volatile char byte = 0;
    if (!strncmp(how, "segv", 4)) {
        *(volatile int *)8 = 1;
    } else if (!strncmp(how, "abort", 5)) {
        abort();
    } else if (!strncmp(how, "trap", 4)) {
        __builtin_trap();
    } else if (!strncmp(how, "fpe", 3)) {
        raise(SIGFPE);
    } else if (!strncmp(how, "overflow", 8)) {
        deeper(&byte);
    }
}

static void maybe_crash(const char *element)
{
    const char *begin = strstr(config, element);
    if (begin) {
        crash(begin + strlen(element));
    }
}

static int32_t create(const introd_host *host, const introd_create *create, introd_answer *answer,
                      introd_instance *instance)
{
    size_t length = create->config.len < sizeof config ? create->config.len : sizeof config - 1;
    (void)host;
    (void)answer;
    memcpy(config, create->config.ptr, length);
    *instance = config;
    maybe_crash("<create>");
    return INTROD_OK;
}

static int32_t destroy(introd_instance instance)
{
    (void)instance;
    maybe_crash("<destroy>");
    return INTROD_OK;
}

static int32_t lookup(introd_instance instance, const introd_lookup *lookup, introd_answer *answer)
{
    (void)instance;
    (void)lookup;
    (void)answer;
    maybe_crash("<lookup>");
    return INTROD_CONTINUE;
}

#ifdef AT_LOAD
__attribute__((constructor)) static void at_load(void)
{
    crash(AT_LOAD);
}
#endif

static const introd_plugin plugin = {
    .struct_size = sizeof(introd_plugin),
    .abi_major = INTROD_ABI_MAJOR,
    .abi_minor = INTROD_ABI_MINOR,
    .name = {(const uint8_t *)"crashing", 8},
    .version = {(const uint8_t *)"1", 1},
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
};

INTROD_PLUGIN_EXPORT const introd_plugin *introd_plugin_entry_v1(const introd_host *host);

const introd_plugin *introd_plugin_entry_v1(const introd_host *host)
{
    return host->abi_major == INTROD_ABI_MAJOR ? &plugin : NULL;
}
