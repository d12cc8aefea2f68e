// What a view starts ends with it: timers, listeners, and requests under way.

/** The shortest time between two beginnings of a task that is wanted often, in milliseconds. */
const PAUSE = 300;

export class Scope {
    #controller = new AbortController();

    /** Aborted when the view is left. */
    get signal() {
        return this.#controller.signal;
    }

    get isOver() {
        return this.signal.aborted;
    }

    end() {
        this.#controller.abort();
    }

    /** Listens until the view is left. */
    on(target, event, listener) {
        target.addEventListener(event, listener, { signal: this.signal });
    }

    /**
     * Does something now, and again `milliseconds` after it was done, while the page is seen. A failure is told to `failed`, and it is
     * tried again. Gives a function that does it soon: after what is under way, which may have been answered before the reason to ask
     * again. However often that is called, it is done a few times in a second at most.
     */
    every(milliseconds, task, failed) {
        let timer = null;
        let running = null;
        let wanted = null;
        let begun = 0;
        const run = () => {
            clearTimeout(timer);
            if (running) return running;
            begun = performance.now();
            running = this.#attempt(task, failed).finally(() => {
                running = null;
                if (!this.isOver) timer = setTimeout(later, milliseconds);
            });
            return running;
        };
        const later = () => (document.hidden ? (timer = setTimeout(later, milliseconds)) : run());
        const soon = async () => {
            await running;
            const left = PAUSE - (performance.now() - begun);
            if (left > 0) await new Promise((resolve) => setTimeout(resolve, left));
            wanted = null;
            if (!this.isOver) await run();
        };
        this.signal.addEventListener('abort', () => clearTimeout(timer));
        run();
        return () => (wanted ??= soon());
    }

    async #attempt(task, failed) {
        try {
            await task(this.signal);
            if (!this.isOver) failed(null);
        } catch (error) {
            if (!this.isOver) failed(error);
        }
    }
}
