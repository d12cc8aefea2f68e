// Starts the page, and opens the view that its address names.

import * as address from './address.js';
import * as applications from './applications.js';
import * as clients from './clients.js';
import { watchConnection } from './connection.js';
import { el, replace } from './dom.js';
import * as group from './group.js';
import * as groups from './groups.js';
import * as introductions from './introductions.js';
import { current } from './links.js';
import { live } from './live.js';
import { notice } from './notice.js';
import * as overview from './overview.js';
import { rights } from './rights.js';
import { Scope } from './scope.js';
import { watchSearch } from './search.js';
import { serverState } from './server-state.js';
import * as server from './server.js';
import * as story from './story.js';

const VIEWS = new Map(Object.entries({ overview, clients, groups, group, introductions, applications, server, peer: story, address }));
/** Views that stand under another one of the menu. */
const UNDER = { group: 'groups', peer: 'clients', address: 'clients' };

const main = document.getElementById('main');
let scope = new Scope();

function open(isAsked) {
    scope.end();
    scope = new Scope();
    notice.clear();
    const { view, parts } = current();
    const room = VIEWS.get(view);
    const title = room?.title ?? 'There is no such view';
    const heading = el('h1', { tabindex: -1 }, title);
    const content = el('div', { class: 'view' });
    replace(main, heading, content);
    document.title = `${title} – introd`;
    for (const link of document.querySelectorAll('#menu a')) {
        const isHere = link.getAttribute('href') === `#/${UNDER[view] ?? view}`;
        if (isHere) link.setAttribute('aria-current', 'page');
        else link.removeAttribute('aria-current');
    }
    room?.open(content, scope, parts);
    // A reader who followed a link is taken to what it leads to; one who has just opened the page is left at its beginning.
    if (isAsked) heading.focus();
}

document.querySelector('.skip').addEventListener('click', (event) => {
    // What stands behind `#` names a view here.
    event.preventDefault();
    main.focus();
});
addEventListener('hashchange', () => open(true));
watchSearch(document.getElementById('search'), document.getElementById('wanted'));
watchConnection(document.getElementById('connection'));
live.start();
await serverState.start();
open(false);
// The buttons of the view depend on it. The focus stays where it is: nobody has asked.
rights.addEventListener('change', () => open(false));
