/* A plugin for introd in C that leaves its verdicts pending: the verdict on a lookup is in a file, and reading a file may take long.
 *
 * An administrator writes `deny`, `ignore` or `continue` into the file FOLDER/PEERID, while the server runs. If there is no such file,
 * the lookup goes on. Callbacks must not block, and a disk may: so `lookup` only puts a job into a queue, and a thread of the plugin
 * reads the file and gives the verdict. If nobody waits for the verdict any more, `cancel` takes the job out of the queue.
 *
 * <Config> has the element <folder>. plugin-api/examples/deferring.rs is the same in Rust. */

#define _POSIX_C_SOURCE 200809L

#include <introd_plugin.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Whether a table has a field: the table of an older host is shorter. */
#define HAS(table, type, field) ((table)->struct_size >= offsetof(type, field) + sizeof((table)->field))

/* How many lookups may wait. Beyond that a lookup fails at once, and Policy/OnFailure decides. */
#define MAX_WAITING 1024
/* The longest path of a folder, in bytes. */
#define MAX_FOLDER 1024
#define HEX_DIGITS 64

/* A lookup that waits for its verdict. */
typedef struct job {
    introd_token token;
    introd_peer_id target;
} job;

/* The data of an instance. The lock protects what stands below it. It is held for moments only, never while a file is read: the
 * callbacks wait for it. */
typedef struct deferring {
    const introd_host *host;
    const introd_host_metrics *metrics;
    uint32_t cancelled;
    char folder[MAX_FOLDER];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    job waiting[MAX_WAITING]; /* the oldest first */
    size_t count;
    int is_over;
} deferring;

static introd_bytes text(const char *chars)
{
    introd_bytes bytes = {(const uint8_t *)chars, strlen(chars)};
    return bytes;
}

static introd_verdict verdict_of(int32_t kind, const char *why)
{
    introd_verdict verdict = {0};
    verdict.struct_size = sizeof verdict;
    verdict.kind = kind;
    verdict.text = text(why);
    return verdict;
}

/* Reads the verdict on lookups of a peer. */
static int32_t read_verdict(const deferring *own, const introd_peer_id *target)
{
    char path[MAX_FOLDER + 1 + HEX_DIGITS + 1];
    char word[16] = "";
    int length = snprintf(path, sizeof path, "%s/", own->folder);
    for (size_t place = 0; place < sizeof target->bytes; place++) {
        length += snprintf(path + length, sizeof path - (size_t)length, "%02x", target->bytes[place]);
    }
    FILE *file = fopen(path, "r");
    if (!file) {
        return errno == ENOENT ? INTROD_CONTINUE : INTROD_E_FAILED;
    }
    int found = fscanf(file, "%15s", word);
    fclose(file);
    if (found == 1 && !strcmp(word, "deny")) {
        return INTROD_DENY;
    }
    if (found == 1 && !strcmp(word, "ignore")) {
        return INTROD_IGNORE;
    }
    return found == 1 && !strcmp(word, "continue") ? INTROD_CONTINUE : INTROD_E_FAILED;
}

/* The thread: takes one job after the other, and gives its verdict. */
static void *work(void *instance)
{
    deferring *own = instance;
    pthread_mutex_lock(&own->lock);
    for (;;) {
        while (own->count == 0 && !own->is_over) {
            pthread_cond_wait(&own->changed, &own->lock);
        }
        if (own->is_over) {
            break;
        }
        job next = own->waiting[0];
        own->count--;
        memmove(own->waiting, own->waiting + 1, own->count * sizeof(job));
        pthread_mutex_unlock(&own->lock);
        int32_t kind = read_verdict(own, &next.target);
        introd_verdict verdict = verdict_of(kind, kind < 0 ? "the file with the verdict cannot be read or understood" : "");
        /* INTROD_E_TOKEN is no error here: the lookup's deadline has passed. */
        own->host->complete(own->host, next.token, &verdict);
        pthread_mutex_lock(&own->lock);
    }
    pthread_mutex_unlock(&own->lock);
    return NULL;
}

/* Finds <folder> and copies its text. Returns 0 if there is none, or if it is too long. */
static int read_folder(introd_bytes config, char folder[MAX_FOLDER])
{
    static const char open[] = "<folder>";
    static const char close[] = "</folder>";
    char *xml = malloc(config.len + 1);
    if (!xml) {
        return 0;
    }
    if (config.len > 0) {
        memcpy(xml, config.ptr, config.len);
    }
    xml[config.len] = 0;
    const char *begin = strstr(xml, open);
    const char *end = begin ? strstr(begin, close) : NULL;
    size_t length = end ? (size_t)(end - begin) - (sizeof(open) - 1) : 0;
    int is_read = length > 0 && length < MAX_FOLDER;
    if (is_read) {
        memcpy(folder, begin + sizeof(open) - 1, length);
        folder[length] = 0;
    }
    free(xml);
    return is_read;
}

static int32_t create(const introd_host *host, const introd_create *create, introd_answer *answer,
                      introd_instance *instance)
{
    deferring *made = calloc(1, sizeof(deferring));
    introd_verdict failure = verdict_of(INTROD_E_FAILED, "out of memory");
    if (!made) {
        return host->answer(host, answer, &failure);
    }
    if (!read_folder(create->config, made->folder)) {
        failure.text = text("<folder> is missing or too long");
        goto failed;
    }
    made->host = host;
    made->metrics = host->get_extension(host, INTROD_EXT_METRICS);
    if (made->metrics && HAS(made->metrics, introd_host_metrics, add)) {
        made->cancelled = made->metrics->metric(host, INTROD_METRIC_COUNTER, text("cancelled"),
                                                text("Lookups that nobody waited for any more"));
    }
    if (pthread_mutex_init(&made->lock, NULL)) {
        failure.text = text("there is no lock");
        goto failed;
    }
    if (pthread_cond_init(&made->changed, NULL)) {
        failure.text = text("there is no condition variable");
        goto failed_with_lock;
    }
    if (pthread_create(&made->thread, NULL, work, made)) {
        failure.text = text("the thread cannot be started");
        goto failed_with_condition;
    }
    *instance = made;
    return INTROD_OK;
failed_with_condition:
    pthread_cond_destroy(&made->changed);
failed_with_lock:
    pthread_mutex_destroy(&made->lock);
failed:
    free(made);
    return host->answer(host, answer, &failure);
}

/* When this returns, no thread of the instance may be running. */
static int32_t destroy(introd_instance instance)
{
    deferring *own = instance;
    pthread_mutex_lock(&own->lock);
    own->is_over = 1;
    pthread_cond_signal(&own->changed);
    pthread_mutex_unlock(&own->lock);
    pthread_join(own->thread, NULL);
    pthread_cond_destroy(&own->changed);
    pthread_mutex_destroy(&own->lock);
    free(own);
    return INTROD_OK;
}

static int32_t lookup(introd_instance instance, const introd_lookup *lookup, introd_answer *answer)
{
    deferring *own = instance;
    introd_token token = 0;
    if (!(lookup->flags & INTROD_LOOKUP_HAS_TARGET)) {
        return INTROD_CONTINUE;
    }
    pthread_mutex_lock(&own->lock);
    if (own->count < MAX_WAITING) {
        token = own->host->defer(own->host, answer);
    }
    if (token) {
        /* The target is copied: the lookup is valid only until this function returns. */
        own->waiting[own->count].token = token;
        own->waiting[own->count].target = lookup->target;
        own->count++;
        pthread_cond_signal(&own->changed);
    }
    pthread_mutex_unlock(&own->lock);
    return token ? INTROD_PENDING : INTROD_E_FULL;
}

/* The job may be under way, and not in the queue any more: then its verdict comes too late, which does no harm. */
static int32_t cancel(introd_instance instance, introd_token token)
{
    deferring *own = instance;
    int is_found = 0;
    pthread_mutex_lock(&own->lock);
    for (size_t place = 0; place < own->count && !is_found; place++) {
        if (own->waiting[place].token == token) {
            own->count--;
            memmove(own->waiting + place, own->waiting + place + 1, (own->count - place) * sizeof(job));
            is_found = 1;
        }
    }
    pthread_mutex_unlock(&own->lock);
    if (is_found && own->cancelled) {
        own->metrics->add(own->host, own->cancelled, 1);
    }
    return INTROD_OK;
}

#define TEXT(literal) {(const uint8_t *)(literal), sizeof(literal) - 1}

static const introd_plugin plugin = {
    .struct_size = sizeof(introd_plugin),
    .abi_major = INTROD_ABI_MAJOR,
    .abi_minor = INTROD_ABI_MINOR,
    .name = TEXT("deferring-c"),
    .version = TEXT("1.0.0"),
    .description = TEXT("Decides about lookups by files that it reads on a thread of its own"),
    .create = create,
    .destroy = destroy,
    .lookup = lookup,
    .cancel = cancel,
};

INTROD_PLUGIN_EXPORT const introd_plugin *introd_plugin_entry_v1(const introd_host *host)
{
    /* The plugin uses the fields up to this one without checking for them. Every host of this major version has them. */
    return HAS(host, introd_host, get_extension) ? &plugin : NULL;
}
