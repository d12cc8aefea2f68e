// What the server does now: its counters, each second, and its events. They come by the stream of the interface; where there is none (too
// many readers, a proxy that holds it up), the page asks. One source for all views.

import { address, read } from './api.js';
import { isRestart, rates } from './rates.js';

/** How many readings of the counters are kept. */
const KEPT = 180;
/** Without a word for so long, the connection counts as lost. In milliseconds. */
const SILENCE = 5000;
/** Readings that are further apart give no rate of a second. In milliseconds. */
const GAP = 10000;
/** How often the page asks while there is no stream, and how long it leaves a refused stream alone. */
const POLL = 2000;
const RETRY = 15000;

/** Emits `counters` (a reading), `story` (an event), `lost` (how many events), `state` (a change of `state`). */
class Live extends EventTarget {
    /** `connecting`, `live` (by the stream), `polling` or `lost`. */
    state = 'connecting';
    /** The rates between readings, oldest first. */
    history = [];
    /** The last reading. */
    last = null;
    #source = null;
    #heard = performance.now();
    #newest = '';
    #isAsking = false;
    #timers = [];

    start() {
        this.#resume();
        document.addEventListener('visibilitychange', () => (document.hidden ? this.#pause() : this.#resume()));
        addEventListener('online', () => this.#ask());
    }

    /** Connects anew: the rights have changed, or the reader wants to try again. */
    restart() {
        this.#pause();
        this.#resume();
    }

    /** A page that is not seen has no stream: browsers have few connections to one server, and the server has few streams. */
    #pause() {
        this.#source?.close();
        this.#source = null;
        this.#timers.forEach(clearInterval);
        this.#timers = [];
    }

    #resume() {
        if (this.#timers.length > 0) return;
        this.#heard = performance.now();
        this.#open();
        this.#timers = [
            setInterval(() => this.#watch(), 1000),
            setInterval(() => this.#source?.readyState !== EventSource.OPEN && this.#ask(), POLL),
            setInterval(() => this.#source?.readyState === EventSource.CLOSED && this.#open(), RETRY),
        ];
    }

    #open() {
        this.#source?.close();
        const source = new EventSource(address('/stream'));
        this.#source = source;
        source.addEventListener('counters', ({ data }) => this.#counted(JSON.parse(data), 'live'));
        source.addEventListener('story', ({ data }) => this.#told(JSON.parse(data)));
        source.addEventListener('lost', ({ data }) => this.#emit('lost', JSON.parse(data).count));
        source.addEventListener('error', () => this.#ask());
    }

    async #ask() {
        if (this.#isAsking) return;
        this.#isAsking = true;
        try {
            this.#counted(await read('/counters'), 'polling');
            const { events } = await read('/events', { limit: 100 });
            const isFirst = this.#newest === '';
            // A stream that has opened meanwhile tells the same. What came before the page was opened is for the views to ask for.
            const fresh = events.filter(({ at }) => at > this.#newest);
            if (isFirst) this.#newest = events.at(-1)?.at ?? '0';
            else fresh.forEach((event) => this.#told(event));
        } catch {
            // The watch says so when it has lasted.
        } finally {
            this.#isAsking = false;
        }
    }

    #watch() {
        if (performance.now() - this.#heard > SILENCE) this.#become('lost');
    }

    #counted(data, state) {
        this.#heard = performance.now();
        const reading = { ...data, at: Date.parse(data.at) };
        const previous = this.last;
        if (previous && (isRestart(previous, reading) || reading.at - previous.at > GAP)) {
            this.history = [];
        } else if (previous && reading.at > previous.at) {
            this.history = [...this.history, rates(previous, reading)].slice(-KEPT);
        }
        this.last = reading;
        this.#become(state);
        this.#emit('counters', reading);
    }

    #told(event) {
        if (event.at > this.#newest) this.#newest = event.at;
        this.#emit('story', event);
    }

    #become(state) {
        if (this.state === state) return;
        this.state = state;
        this.#emit('state', state);
    }

    #emit(type, detail) {
        this.dispatchEvent(new CustomEvent(type, { detail }));
    }
}

export const live = new Live();
