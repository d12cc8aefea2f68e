// The first view: how many clients there are, what becomes of lookups, and what happens now.

import { read } from './api.js';
import { lookupChart } from './chart.js';
import { el, replace } from './dom.js';
import { feed } from './feed.js';
import { bytes, duration, number } from './format.js';
import { live } from './live.js';
import { serverState } from './server-state.js';
import { tiles } from './tiles.js';

export const title = 'Overview';

export function open(root, scope) {
    const figures = tiles({
        clients: 'Clients',
        lookups: 'Lookups each second',
        instances: 'Application instances',
        cpu: 'Processor',
        memory: 'Memory',
        uptime: 'Running for',
    });
    const problems = el('div');
    const chart = lookupChart();
    const events = feed();
    root.append(
        problems,
        figures.element,
        el('section', {}, el('h2', {}, 'Lookups and what became of them'), chart.element),
        el('section', {}, el('h2', {}, 'What happens now'), events.element),
    );

    const counted = () => {
        chart.update(live.history);
        const clients = live.last?.clients;
        if (clients !== undefined && clients !== null) figures.update({ clients: number(clients) });
        figures.update({ lookups: number(live.history.at(-1)?.lookups ?? 0) });
    };
    const stated = () => {
        const server = serverState.value;
        if (!server) return;
        figures.update({
            clients: number(server.clients),
            instances: number(server.instances),
            cpu: server.cpu?.used_percent === undefined ? '–' : `${number(server.cpu.used_percent)} %`,
            memory: bytes(server.memory_bytes),
            uptime: duration(server.uptime_seconds),
        });
        replace(problems, list('What is not well', server.problems ?? []), list('What to look at', server.notices ?? []));
    };
    // What came before the page was opened, and meanwhile what comes.
    const early = [];
    let isCaughtUp = false;
    scope.on(live, 'story', ({ detail }) => (isCaughtUp ? events.add(detail) : early.push(detail)));
    const caughtUp = (past) => {
        if (scope.isOver) return;
        const newest = past.at(-1)?.at ?? '';
        [...past, ...early.filter(({ at }) => at > newest)].forEach(events.add);
        isCaughtUp = true;
    };
    read('/events', { limit: 60 }, scope.signal).then((answer) => caughtUp(answer.events), () => caughtUp([]));
    scope.on(live, 'lost', ({ detail }) => events.missing(detail));
    scope.on(live, 'counters', counted);
    scope.on(serverState, 'change', stated);
    counted();
    stated();
}

function list(heading, lines) {
    if (lines.length === 0) return null;
    return el(
        'section',
        { class: 'problems' },
        el('h2', {}, heading),
        el('ul', {}, lines.map((line) => el('li', {}, line))),
    );
}
