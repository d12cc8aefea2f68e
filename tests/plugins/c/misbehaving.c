/* A plugin that breaks the rules: which one, the first byte of the target of a lookup says. What it is told for that stands in
 * its metrics. The definitions WRONG_MAJOR and so on make libraries that are refused. */

#include <introd_plugin.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#ifndef TABLE_MAJOR
#define TABLE_MAJOR INTROD_ABI_MAJOR
#endif
#ifndef TABLE_SIZE
#define TABLE_SIZE sizeof(introd_plugin)
#endif
#ifndef NAME
#define NAME "misbehaving"
#endif

#define THREADS 10

static const introd_host *the_host;
static introd_token kept;
static introd_answer *kept_answer;

static introd_bytes text(const char *chars)
{
    introd_bytes bytes = {(const uint8_t *)chars, strlen(chars)};
    return bytes;
}

static void report(const char *name, int64_t value)
{
    const introd_host_metrics *metrics = the_host->get_extension(the_host, INTROD_EXT_METRICS);
    metrics->set(the_host, metrics->metric(the_host, INTROD_METRIC_GAUGE, text(name), text("")), value);
}

static introd_verdict verdict(int32_t kind)
{
    introd_verdict verdict = {0};
    verdict.struct_size = sizeof verdict;
    verdict.kind = kind;
    return verdict;
}

static int32_t complete(introd_token token, int32_t kind)
{
    introd_verdict given = verdict(kind);
    return the_host->complete(the_host, token, &given);
}

static void *complete_in_thread(void *result)
{
    *(int32_t *)result = complete(kept, INTROD_DENY);
    return NULL;
}

static int32_t create(const introd_host *host, const introd_create *create, introd_answer *answer,
                      introd_instance *instance)
{
    (void)create;
    the_host = host;
    *instance = &the_host;
#ifdef CREATE_FAILS
    introd_verdict given = verdict(INTROD_E_FAILED);
    given.text = text(CREATE_FAILS);
    return sizeof(CREATE_FAILS) > 1 ? host->answer(host, answer, &given) : INTROD_E_UNAVAILABLE;
#else
    report("defer_in_create", host->defer(host, answer) != 0);
    return INTROD_OK;
#endif
}

static int32_t destroy(introd_instance instance)
{
    (void)instance;
    return INTROD_OK;
}

static int32_t cancel(introd_instance instance, introd_token token)
{
    (void)instance;
    report("complete_in_cancel", complete(token, INTROD_DENY));
    report("cancelled_the_kept", token == kept);
    return INTROD_OK;
}

static int32_t bad_verdict(introd_answer *answer, introd_verdict given)
{
    report("bad_verdict", the_host->answer(the_host, answer, &given));
    return INTROD_IGNORE;
}

static int32_t lookup(introd_instance instance, const introd_lookup *lookup, introd_answer *answer)
{
    introd_token token;
    introd_verdict given;
    introd_address address;
    (void)instance;
    memset(&address, 0, sizeof address);
    address.family = 4;
    switch (lookup->target.bytes[0]) {
    case 1: /* completes twice, before it returns */
        token = the_host->defer(the_host, answer);
        report("first", complete(token, INTROD_DENY));
        report("second", complete(token, INTROD_CONTINUE));
        return INTROD_PENDING;
    case 2: /* takes a token, and decides at once */
        kept = the_host->defer(the_host, answer);
        return INTROD_DENY;
    case 3: /* completes a token that is not valid any more */
        report("late", complete(kept, INTROD_CONTINUE));
        return INTROD_CONTINUE;
    case 4: { /* completes from many threads at once */
        pthread_t threads[THREADS];
        int32_t results[THREADS];
        int64_t done = 0;
        kept = the_host->defer(the_host, answer);
        for (int place = 0; place < THREADS; place++) {
            if (pthread_create(&threads[place], NULL, complete_in_thread, &results[place])) {
                abort();
            }
        }
        for (int place = 0; place < THREADS; place++) {
            pthread_join(threads[place], NULL);
            done += results[place] == INTROD_OK;
        }
        report("done", done);
        return INTROD_PENDING;
    }
    case 5: /* no verdict */
        return 77;
    case 6: /* a verdict that needs more */
        return INTROD_REDIRECT;
    case 7: /* pending, without a token */
        return INTROD_PENDING;
    case 8: /* two tokens */
        kept = the_host->defer(the_host, answer);
        report("second_token", the_host->defer(the_host, answer) != 0);
        return INTROD_PENDING;
    case 9: /* a redirect to nowhere */
        return bad_verdict(answer, verdict(INTROD_REDIRECT));
    case 10: /* an address of no family */
        given = verdict(INTROD_REDIRECT);
        address.family = 9;
        given.addresses = &address;
        given.address_count = 1;
        return bad_verdict(answer, given);
    case 11: /* a verdict that is too short */
        given = verdict(INTROD_DENY);
        given.struct_size = 8;
        return bad_verdict(answer, given);
    case 12: /* a verdict of another kind of question */
        return bad_verdict(answer, verdict(INTROD_REJECT));
    case 13: /* keeps the answer */
        kept_answer = answer;
        return INTROD_CONTINUE;
    case 14: /* and uses it in another callback */
        given = verdict(INTROD_DENY);
        /* It may be at the same place by chance: one further on it is not. */
        report("kept_answer", the_host->answer(the_host, (introd_answer *)((char *)kept_answer + 1), &given));
        report("kept_answer_defer", the_host->defer(the_host, (introd_answer *)((char *)kept_answer + 1)) != 0);
        return INTROD_CONTINUE;
    case 15: /* completes with nonsense first: the token stays */
        token = the_host->defer(the_host, answer);
        report("nonsense", complete(token, INTROD_REDIRECT));
        report("null_verdict", the_host->complete(the_host, token, NULL));
        report("sense", complete(token, INTROD_IGNORE));
        return INTROD_PENDING;
    case 16: /* null everywhere */
        report("null_answer", the_host->answer(the_host, NULL, NULL));
        report("null_host", the_host->answer(NULL, answer, NULL));
        report("null_peer", the_host->find_peer(the_host, NULL, NULL));
        report("null_introduce", the_host->introduce(the_host, NULL, NULL, text("")));
        report("null_disconnect", the_host->disconnect(the_host, NULL));
        report("null_extension", the_host->get_extension(the_host, NULL) != NULL);
        report("unknown_extension", the_host->get_extension(the_host, "introd.nothing/1") != NULL);
        return INTROD_CONTINUE;
    case 17: /* tokens that never were */
        report("no_token", complete(0, INTROD_DENY));
        report("made_up_token", complete(UINT64_MAX, INTROD_DENY));
        return INTROD_CONTINUE;
    case 18: /* says that it has panicked */
        return INTROD_E_PANIC;
    case 19: /* an error with a text that is none */
        given = verdict(INTROD_E_FAILED);
        given.text.ptr = (const uint8_t *)"\xff\xfe";
        given.text.len = 2;
        return the_host->answer(the_host, answer, &given);
    case 20: /* more addresses than are sent */
    {
        introd_address many[100];
        for (int place = 0; place < 100; place++) {
            many[place] = address;
            many[place].ip[0] = 192;
            many[place].port = (uint16_t)(place + 1);
        }
        given = verdict(INTROD_REDIRECT);
        given.addresses = many;
        given.address_count = 100;
        return the_host->answer(the_host, answer, &given);
    }
    case 21: /* timers without the table for them, metrics and log lines of nonsense */
    {
        const introd_host_timer *timer = the_host->get_extension(the_host, INTROD_EXT_TIMER);
        const introd_host_metrics *metrics = the_host->get_extension(the_host, INTROD_EXT_METRICS);
        const introd_host_log *log = the_host->get_extension(the_host, INTROD_EXT_LOG);
        introd_bytes nothing = {NULL, 12};
        report("timer", timer->start(the_host, 1, 1, 1) != 0);
        report("stop_timer", timer->stop(the_host, 12345));
        report("metric", metrics->metric(the_host, 9, text("name"), text("")));
        report("metric_name", metrics->metric(the_host, INTROD_METRIC_GAUGE, nothing, text("")));
        metrics->add(the_host, 4711, 1);
        metrics->set(the_host, 0, 1);
        log->log(the_host, 99, nothing);
        log->log(the_host, INTROD_LOG_INFO, text("two\nlines"));
        return INTROD_CONTINUE;
    }
    default:
        return INTROD_CONTINUE;
    }
}

static const introd_plugin plugin = {
    .struct_size = TABLE_SIZE,
    .abi_major = TABLE_MAJOR,
    .abi_minor = 9,
    .name = {(const uint8_t *)NAME, sizeof(NAME) - 1},
    .version = {(const uint8_t *)"1", 1},
#ifndef NO_CREATE
    .create = create,
    .destroy = destroy,
#endif
#ifndef NO_CALLBACKS
    .lookup = lookup,
    .cancel = cancel,
#endif
};

#ifdef UNDEFINED
void UNDEFINED(void);
#endif

#ifndef ENTRY
#define ENTRY introd_plugin_entry_v1
#endif

INTROD_PLUGIN_EXPORT const introd_plugin *ENTRY(const introd_host *host);

const introd_plugin *ENTRY(const introd_host *host)
{
    (void)lookup;
    (void)cancel;
    (void)create;
    (void)destroy;
    (void)plugin;
#ifdef UNDEFINED
    UNDEFINED();
#endif
#ifdef NO_TABLE
    (void)host;
    return NULL;
#else
    return host->abi_major == INTROD_ABI_MAJOR ? &plugin : NULL;
#endif
}
