// What the reader of the page may do. The server decides; this only says which buttons make sense.

import { el } from './dom.js';

/** Emits `change`. */
class Rights extends EventTarget {
    user = null;
    mayAct = false;
    whyNot = 'The server has not said yet whether you may act.';

    /** Takes what `/server` says of who asks. */
    update(you) {
        const { user = null, may_act: mayAct = false, why_not: whyNot = null } = you ?? {};
        if (this.user === user && this.mayAct === mayAct && this.whyNot === whyNot) return;
        Object.assign(this, { user, mayAct, whyNot });
        this.dispatchEvent(new Event('change'));
    }
}

export const rights = new Rights();

/** Why there are no buttons in a view that would have some; nothing if there are. */
export function rightsNote() {
    return rights.mayAct ? null : el('p', { class: 'note' }, `You may read, and not act: ${rights.whyNot ?? 'log in.'}`);
}

/** A button of an action, if the reader may act. `about` names what it acts on, for those who hear the page. */
export function actionButton(label, about, action) {
    if (!rights.mayAct) return null;
    const name = about ? `${label} ${about}` : null;
    return el('button', { type: 'button', 'aria-label': name, on: { click: action } }, label);
}
