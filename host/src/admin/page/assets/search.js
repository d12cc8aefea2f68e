// The search above the views: a peer id, the beginning of one, a group's digest or an address.

import { read } from './api.js';
import { href } from './links.js';
import { notice } from './notice.js';

/** Where a search leads: a view's address, or nothing if it can be none of these. */
export async function find(wanted) {
    const text = wanted.trim().toLowerCase();
    if (/^[0-9a-f]{64}$/.test(text)) return (await isGroup(text)) ? href('group', text) : href('peer', text);
    if (/^[0-9a-f]{1,63}$/.test(text)) {
        const { clients } = await read('/clients', { peer: text, limit: 2 });
        return clients.length === 1 ? href('peer', clients[0].peer) : href('clients', '', text);
    }
    return /^[0-9a-f.:[\]]+$/.test(text) ? href('address', text) : null;
}

/** A peer id and a digest look alike. One that is no group's is taken for a peer's. */
async function isGroup(digest) {
    try {
        return (await read(`/groups/${digest}`, { limit: 1 })).members.length > 0;
    } catch {
        return false;
    }
}

export function watchSearch(form, input) {
    form.addEventListener('submit', async (event) => {
        event.preventDefault();
        try {
            const address = await find(input.value);
            if (address) location.hash = address;
            else notice.failed('Search for a peer id, the beginning of one, a digest of a group, or an IP address.');
        } catch (error) {
            notice.failed(error.message);
        }
    });
}
