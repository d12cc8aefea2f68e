// The line that says whether the page is up to date. It is announced when it changes.

import { setText } from './dom.js';
import { live } from './live.js';

const TEXTS = {
    connecting: 'Connecting…',
    live: 'Live',
    polling: 'Live, asking every two seconds',
    lost: 'No connection to the server: what you see is old. Trying again…',
};

export function watchConnection(element) {
    const show = () => {
        element.className = `connection ${live.state}`;
        setText(element, TEXTS[live.state]);
    };
    live.addEventListener('state', show);
    show();
}
