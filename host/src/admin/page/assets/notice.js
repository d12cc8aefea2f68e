// One line that says what has come of an action, or what went wrong. It is announced.

import { setText } from './dom.js';

const LASTS = 12000;
let timer = null;
/** Whether what stands there is about a reading that failed. */
let isOfReading = false;

function say(text, isError, ofReading = false) {
    const element = document.getElementById('notice');
    element.className = isError ? 'error' : '';
    setText(element, text);
    isOfReading = ofReading;
    clearTimeout(timer);
    // Errors stay until something else is said.
    if (!isError && text) timer = setTimeout(() => setText(element, ''), LASTS);
}

export const notice = {
    done: (text) => say(text, false),
    failed: (text) => say(text, true),
    clear: () => say('', false),
    /** What has come of a reading that is done again and again: an error, or `null`, which ends what was said of an earlier one. */
    ofReading(error) {
        // That there is no answer at all is said by the line about the connection.
        if (error && error.status !== 0) say(error.message, true, true);
        else if (!error && isOfReading) say('', false);
    },
};
