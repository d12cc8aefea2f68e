// Asks before something is done. The dialog is the browser's own: it keeps the focus inside, and Escape leaves it.

import { el } from './dom.js';

let numbered = 0;

/**
 * Shows what will happen, and fields for what it needs: `{ name, label, value, hint, type, options }`. Gives the values by their names, or
 * `null` if the reader thinks better of it.
 */
export function ask({ title, text, action, fields = [] }) {
    return new Promise((resolve) => {
        const id = `dialog-${(numbered += 1)}`;
        const inputs = fields.map((field) => ({ field, input: inputOf(field, `${id}-${field.name}`) }));
        const cancel = el('button', { type: 'button', on: { click: () => dialog.close() } }, 'Cancel');
        const form = el(
            'form',
            { on: { submit: submitted } },
            el('h2', { id: `${id}-title` }, title),
            el('p', { id: `${id}-text` }, text),
            inputs.map(({ field, input }) => labelled(field, input)),
            el('div', { class: 'buttons' }, cancel, el('button', { type: 'submit', class: 'primary' }, action)),
        );
        const properties = { 'aria-labelledby': `${id}-title`, 'aria-describedby': `${id}-text` };
        const dialog = el('dialog', { ...properties, on: { close: closed } }, form);
        let values = null;

        function submitted(event) {
            event.preventDefault();
            values = Object.fromEntries(inputs.map(({ field, input }) => [field.name, input.value.trim()]));
            dialog.close();
        }
        function closed() {
            dialog.remove();
            resolve(values);
        }
        document.body.append(dialog);
        dialog.showModal();
        // What is asked for first; else the button that changes nothing.
        (inputs[0]?.input ?? cancel).focus();
    });
}

function inputOf({ type = 'text', value = '', options, hint, min }, id) {
    const properties = { id, 'aria-describedby': hint && `${id}-hint` };
    if (options) {
        return el(
            'select',
            properties,
            options.map((option) => el('option', { value: option, selected: option === value }, option)),
        );
    }
    return el('input', { ...properties, type, value, min, autocomplete: 'off' });
}

function labelled({ label, hint }, input) {
    return el(
        'p',
        { class: 'field' },
        el('label', { for: input.id }, label),
        input,
        hint && el('small', { id: `${input.id}-hint` }, hint),
    );
}
