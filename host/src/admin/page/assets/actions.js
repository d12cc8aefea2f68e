// What an administrator can do here. Each asks first, and says what has come of it. Each gives whether it was done.

import { act, part } from './api.js';
import { ask } from './dialog.js';
import { instance as instanceName, short } from './format.js';
import { notice } from './notice.js';

async function confirmed(question, done, run) {
    const values = await ask(question);
    if (!values) return false;
    try {
        await run(values);
        notice.done(done(values));
        return true;
    } catch (error) {
        notice.failed(`${question.action} failed: ${error.message}`);
        return false;
    }
}

export function disconnect(peer) {
    return confirmed(
        {
            title: `Disconnect ${short(peer)}?`,
            text: `The session of peer ${peer} is closed. Nothing keeps the client from connecting again.`,
            action: 'Disconnect',
            fields: [{ name: 'reason', label: 'Reason', hint: 'For the log. It may stay empty.' }],
        },
        () => `Peer ${short(peer)} is disconnected.`,
        ({ reason }) => act(`/clients/${part(peer)}/disconnect`, reason ? { reason } : {}),
    );
}

export function reload({ adaptor, vhost, application, name: instance }) {
    const name = instanceName(application, instance);
    return confirmed(
        {
            title: `Reload ${name}?`,
            text: 'The script is loaded again. Its clients stay connected. If the new script is broken, the old one stays.',
            action: 'Reload',
        },
        () => `${name} is reloaded.`,
        () => act(`/applications/${part(application)}/reload`, { adaptor, vhost, instance }),
    );
}

export function unload({ adaptor, vhost, application, name: instance }) {
    const name = instanceName(application, instance);
    return confirmed(
        {
            title: `Unload ${name}?`,
            text: 'All its clients are disconnected, and its script ends. The next client that connects starts it again.',
            action: 'Unload',
        },
        () => `${name} is unloaded.`,
        () => act(`/applications/${part(application)}/unload`, { adaptor, vhost, instance }),
    );
}

export function setLogLevel(level) {
    return confirmed(
        {
            title: 'Change the level of the log?',
            text: 'It holds until the server ends.',
            action: 'Change',
            fields: [{ name: 'level', label: 'Level', value: level, hint: 'error, warn, info, debug or trace, or as in RUST_LOG.' }],
        },
        (values) => `The level of the log is ${values.level}.`,
        (values) => act('/log-level', { level: values.level }),
    );
}

export function drain() {
    return confirmed(
        {
            title: 'Drain this server?',
            text: 'It takes no new sessions. Those that are open go on. When the last has gone, or at the deadline, the server ends.',
            action: 'Drain',
            fields: [
                { name: 'to', label: 'Send new clients to', hint: 'Addresses of other servers, as host:port, with spaces between. It may stay empty.' },
                { name: 'deadline', label: 'Deadline in seconds', type: 'number', min: 1, hint: 'Empty: none.' },
            ],
        },
        () => 'The server drains.',
        ({ to, deadline }) =>
            act('/drain', {
                ...(to && { to: to.split(/[\s,]+/) }),
                ...(deadline && { deadline_seconds: Number(deadline) }),
            }),
    );
}

export function cancelDrain() {
    return confirmed(
        { title: 'Stop draining?', text: 'The server takes new sessions again.', action: 'Stop draining' },
        () => 'The server takes new sessions again.',
        () => act('/drain/cancel'),
    );
}
