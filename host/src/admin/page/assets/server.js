// The server itself: what it is, the registry that it shares with others, its log, and its end.

import { cancelDrain, drain, setLogLevel } from './actions.js';
import { read } from './api.js';
import { el, replaceIfOther } from './dom.js';
import { bytes, duration, moment, number, text, words } from './format.js';
import { notice } from './notice.js';
import { actionButton, rightsNote } from './rights.js';
import { serverState } from './server-state.js';
import { facts } from './tiles.js';

export const title = 'Server';

export function open(root, scope) {
    const about = el('div');
    const registry = el('div');
    const draining = el('div');
    const show = () => {
        const server = serverState.value;
        if (!server) return;
        replaceIfOther(about, aboutServer(server));
        replaceIfOther(draining, drainFacts(server));
    };
    scope.on(serverState, 'change', show);
    scope.every(
        4000,
        async (signal) => replaceIfOther(registry, registryFacts(await read('/registry', {}, signal))),
        notice.ofReading,
    );
    root.append(
        rightsNote() ?? '',
        el('section', {}, el('h2', {}, 'About'), about, logLevelButton()),
        el('section', {}, el('h2', {}, 'Servers that share the registry'), registry),
        el('section', {}, el('h2', {}, 'Drain'), draining),
    );
    show();
}

function aboutServer(server) {
    return facts([
        ['Version', text(server.version)],
        ['State', text(server.state)],
        ['Started (UTC)', moment(server.launched)],
        ['Listening at', text((server.listening ?? []).join(', '))],
        ['Workers', number(server.workers)],
        ['Sessions', number(server.sessions)],
        ['Memory', bytes(server.memory_bytes)],
        ['Level of the log', text(server.log_level)],
    ]);
}

/** Everything that the registry says of itself: what it says depends on the plugin that has it. */
function registryFacts(registry) {
    if (!registry.is_shared) {
        return el('p', {}, 'The registry is in memory: this server shares its clients with no other. A registry plugin (conf/README.md) changes that.');
    }
    const { servers, ...others } = registry;
    return el(
        'div',
        {},
        sharingServers(servers),
        facts(Object.entries(others).map(([name, value]) => [words(name), shown(name, value)])),
    );
}

/** The servers that share the registry, dead ones last, as far as its plugin knows them. */
function sharingServers(servers) {
    if (servers === null) return el('p', {}, 'The plugin of the registry does not know at present which servers share it, or cannot tell.');
    if (servers.length === 0) return el('p', {}, 'No server is listed yet.');
    const inOrder = servers.toSorted((one, other) => Number(other.is_alive) - Number(one.is_alive));
    return el('ul', { class: 'servers' }, ...inOrder.map(sharingServer));
}

function sharingServer({ name, is_self: isSelf, is_alive: isAlive }) {
    const state = isAlive ? 'alive' : 'dead, or cut off from the registry: its clients are not found';
    return el('li', {}, `${name}: ${state}${isSelf ? ' (this server)' : ''}`);
}

function shown(name, value) {
    if (Array.isArray(value)) return value.length > 0 ? value.map((one) => shown(name, one)).join(', ') : 'none';
    if (value !== null && typeof value === 'object') {
        return Object.entries(value).map(([key, one]) => `${words(key)} ${shown(key, one)}`).join(', ');
    }
    if (typeof value === 'boolean') return value ? 'yes' : 'no';
    if (typeof value !== 'number') return text(value);
    return name.endsWith('_seconds') ? duration(value) : number(value);
}

function drainFacts({ state, drain: under }) {
    if (!under && state !== 'draining') return el('div', {}, el('p', {}, 'The server takes new sessions.'), actionButton('Drain', '', afterwards(drain)));
    return el(
        'div',
        {},
        facts([
            ['Since (UTC)', moment(under?.since)],
            ['Ends at the latest (UTC)', moment(under?.until)],
            ['New clients go to', text((under?.to ?? []).join(', '))],
            ['Clients left', number(under?.left)],
        ]),
        actionButton('Stop draining', '', afterwards(cancelDrain)),
    );
}

const afterwards = (action) => async () => (await action()) && serverState.refresh();

function logLevelButton() {
    return actionButton('Change the level of the log', '', afterwards(() => setLogLevel(serverState.value?.log_level ?? 'info')));
}
