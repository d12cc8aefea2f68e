// What `/server` says, for the views that show it and for the line above them. Asked for once, however many want to know.

import { read } from './api.js';
import { rights } from './rights.js';

const INTERVAL = 5000;

/** Emits `change`. */
class ServerState extends EventTarget {
    value = null;

    /** Asks from now on, again and again. Done when it has been answered once, or not. */
    start() {
        const again = () => setTimeout(async () => {
            if (!document.hidden) await this.refresh();
            again();
        }, INTERVAL);
        document.addEventListener('visibilitychange', () => document.hidden || this.refresh());
        again();
        return this.refresh();
    }

    /** Asks at once. That the server does not answer is said by the line about the connection. */
    async refresh() {
        try {
            this.value = await read('/server');
        } catch {
            return;
        }
        rights.update(this.value.you);
        this.dispatchEvent(new Event('change'));
    }
}

export const serverState = new ServerState();
