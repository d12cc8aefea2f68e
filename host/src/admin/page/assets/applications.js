// The applications with their instances, the scripts with their errors, and the plugins with the time they take.

import { reload, unload } from './actions.js';
import { read } from './api.js';
import { el } from './dom.js';
import { bytes, duration, instance, moment, number, text, yesNo } from './format.js';
import { notice } from './notice.js';
import { actionButton, rights, rightsNote } from './rights.js';
import { keyedTable } from './table.js';

export const title = 'Applications';

export function open(root, scope) {
    const instances = keyedTable({
        caption: 'Instances',
        empty: 'No instance runs.',
        key: (row) => JSON.stringify([row.adaptor, row.vhost, row.application, row.name]),
        columns: instanceColumns(() => again()),
    });
    const scripts = keyedTable({
        caption: 'Scripts',
        empty: 'No script runs.',
        key: (row) => JSON.stringify([row.adaptor, row.vhost, row.application, row.instance]),
        columns: [
            { head: 'Instance', text: (row) => instance(row.application, row.instance) },
            { head: 'File', text: ({ file }) => text(file) },
            { head: 'Memory', numeric: true, text: ({ memory_bytes: memory }) => bytes(memory) },
            { head: 'Limit', numeric: true, text: ({ max_memory_bytes: limit }) => bytes(limit) },
            { head: 'Busy for', numeric: true, text: ({ busy_seconds: seconds }) => duration(seconds) },
            { head: 'State', text: scriptState },
            { head: 'Last errors', text: errorText, node: errorList },
        ],
    });
    const plugins = keyedTable({
        caption: 'Plugins',
        empty: 'No plugin is loaded.',
        key: ({ name, library }) => `${name} ${library}`,
        columns: [
            { head: 'Plugin', text: ({ name }) => name },
            { head: 'State', text: ({ is_disabled: off }) => (off ? 'disabled' : 'at work') },
            { head: 'Applications', text: ({ applications }) => text((applications ?? []).join(', ')) },
            { head: 'Calls', numeric: true, text: ({ calls }) => number(calls) },
            { head: 'Failures', numeric: true, text: ({ failures }) => number(failures) },
            { head: 'Too late', numeric: true, text: ({ timeouts }) => number(timeouts) },
            { head: 'Half decided within', numeric: true, text: ({ decision_seconds: seconds }) => duration(seconds?.p50) },
            { head: '99 % within', numeric: true, text: ({ decision_seconds: seconds }) => duration(seconds?.p99) },
        ],
    });
    const parts = [
        async (signal) => instances.update(rowsOf((await read('/applications', { limit: 1000 }, signal)).applications)),
        async (signal) => scripts.update((await read('/scripts', {}, signal)).scripts),
        async (signal) => plugins.update((await read('/plugins', {}, signal)).plugins),
    ];
    // One that fails leaves the others.
    const again = scope.every(
        4000,
        async (signal) => {
            const results = await Promise.allSettled(parts.map((part) => part(signal)));
            const failed = results.find(({ status }) => status === 'rejected');
            if (failed) throw failed.reason;
        },
        notice.ofReading,
    );
    root.append(rightsNote() ?? '', instances.element, scripts.element, plugins.element);
}

function instanceColumns(again) {
    const all = [
        { head: 'Instance', text: (row) => instance(row.application, row.name) },
        { head: 'Clients', numeric: true, text: ({ clients }) => number(clients) },
        { head: 'Accepted', numeric: true, text: ({ accepted }) => number(accepted) },
        { head: 'Rejected', numeric: true, text: ({ rejected }) => number(rejected) },
        { head: 'Script', text: ({ hasScript }) => yesNo(hasScript) },
        { head: 'Plugins', text: ({ plugins }) => text(plugins.join(', ')) },
        { head: 'Running for', numeric: true, text: ({ up_seconds: up }) => duration(up) },
    ];
    if (!rights.mayAct) return all;
    const buttons = (row) => {
        const about = instance(row.application, row.name);
        const button = (label, action) => actionButton(label, about, async () => (await action(row)) && again());
        return el('span', { class: 'buttons' }, row.hasScript && button('Reload', reload), button('Unload', unload));
    };
    return [...all, { head: 'Actions', text: (row) => instance(row.application, row.name), node: buttons }];
}

/** A row for each instance, with what it has from its application. */
function rowsOf(applications) {
    return applications.flatMap(({ name: application, adaptor, vhost, policy, instances }) =>
        instances.map((one) => ({
            ...one,
            application,
            adaptor,
            vhost,
            hasScript: policy?.has_script,
            plugins: policy?.plugins ?? [],
        })),
    );
}

const scriptState = ({ has_failed: failed, is_over: over }) => (failed ? 'failed' : over ? 'has ended' : 'runs');

const errorText = ({ errors }) => (errors?.length > 0 ? errors.map(({ at, text: said }) => `${at} ${said}`).join('\n') : 'none');

function errorList({ errors }) {
    if (!errors?.length) return 'none';
    return el('ul', { class: 'errors' }, errors.map(({ at, text: said }) => el('li', {}, el('time', { datetime: at }, moment(at)), ' ', said)));
}
