/**
 * Asking a person: one dialog at a time, which keeps the focus, and goes with Escape. One that comes up while another
 * is open, as that for the token, stands in front of it.
 */

import { h } from "../dom/h.js";
import { changed } from "../dom/frame.js";

/** @typedef {import("../dom/h.js").VNode} VNode */

/**
 * @typedef {object} Field
 * @property {string} name
 * @property {string} label
 * @property {"text" | "area" | "password" | "number" | "select" | "check"} [kind]
 * @property {string} [value]
 * @property {string} [hint]
 * @property {string[]} [choices]
 * @property {boolean} [required]
 * @property {string[]} [suggestions]
 *
 * @typedef {object} Question
 * @property {string} title
 * @property {(VNode | string)[]} [text]
 * @property {Field[]} [fields]
 * @property {string} action the word on the button
 * @property {boolean} [danger]
 * @property {(values: Record<string, string>) => Promise<void>} [carryOut]
 *   runs while the dialog stays; what goes wrong is told in it
 */

/**
 * @typedef {object} Open
 * @property {Question} question
 * @property {Record<string, string>} values
 * @property {(values: Record<string, string> | undefined) => void} done
 * @property {string} [error]
 * @property {string} [hint]
 * @property {boolean} [busy]
 */

/** The one in front is the last. @type {Open[]} */
let stack = [];
/** @type {HTMLElement | undefined} */
let cameFrom;

function front() {
  return stack.at(-1);
}

/**
 * Asks; `undefined` where the person turned away.
 *
 * @param {Question} question
 * @returns {Promise<Record<string, string> | undefined>}
 */
export function askPerson(question) {
  if (stack.length === 0) cameFrom = document.activeElement instanceof HTMLElement ? document.activeElement : undefined;
  return new Promise((resolve) => {
    /** @type {Record<string, string>} */
    const values = {};
    for (const field of question.fields ?? []) values[field.name] = field.value ?? field.choices?.[0] ?? "";
    /** @type {Open} */
    const mine = {
      question,
      values,
      done: (answer) => {
        stack = stack.filter((other) => other !== mine);
        if (stack.length === 0) cameFrom?.focus();
        changed();
        resolve(answer);
      },
    };
    stack.push(mine);
    changed();
  });
}

export function isOpen() {
  return stack.length > 0;
}

export function turnAway() {
  const mine = front();
  if (!mine?.busy) mine?.done(undefined);
}

async function submit() {
  const mine = front();
  if (!mine || mine.busy) return;
  const missing = (mine.question.fields ?? []).find((field) => field.required && !mine.values[field.name]?.trim());
  if (missing) {
    mine.error = `${missing.label} is needed.`;
    changed();
    return;
  }
  if (!mine.question.carryOut) return mine.done(mine.values);
  mine.busy = true;
  delete mine.error;
  delete mine.hint;
  changed();
  try {
    await mine.question.carryOut(mine.values);
    mine.done(mine.values);
  } catch (error) {
    mine.busy = false;
    mine.error = error instanceof Error ? error.message : String(error);
    const { hint } = /** @type {{hint?: string}} */ (error ?? {});
    if (hint) mine.hint = hint;
    changed();
  }
}

/** @param {Field} field */
function input(field) {
  const mine = /** @type {Open} */ (front());
  const id = `field-${field.name}`;
  const common = {
    id,
    name: field.name,
    "aria-describedby": field.hint ? `${id}-hint` : undefined,
    oninput: (/** @type {Event} */ event) => {
      mine.values[field.name] = /** @type {HTMLInputElement} */ (event.target).value;
    },
  };
  if (field.kind === "area") return h("textarea", { ...common, rows: "6", value: mine.values[field.name] });
  if (field.kind === "select") {
    return h(
      "select",
      { ...common, onchange: common.oninput },
      (field.choices ?? []).map((choice) => h("option", { value: choice, selected: choice === mine.values[field.name] }, choice)),
    );
  }
  const list = field.suggestions ? `${id}-list` : undefined;
  return [
    h("input", {
      ...common,
      type: field.kind ?? "text",
      list,
      autocomplete: "off",
      spellcheck: "false",
      value: mine.values[field.name],
    }),
    list && h("datalist", { id: list }, field.suggestions?.map((value) => h("option", { value }))),
  ];
}

/** Puts the focus into a dialog that came up. @param {HTMLDialogElement} el */
function show(el) {
  queueMicrotask(() => {
    if (el.isConnected && !el.open) el.showModal();
    /** @type {HTMLElement | null} */ (el.querySelector("textarea, input, select, .go"))?.focus();
  });
}

/** The dialog, where one is open. */
export function dialog() {
  const mine = front();
  if (!mine) return null;
  const { question, error, hint, busy } = mine;
  return h(
    "dialog",
    {
      class: "dialog",
      key: question.title,
      "aria-labelledby": "dialog-title",
      ref: show,
      oncancel: (/** @type {Event} */ event) => {
        event.preventDefault();
        turnAway();
      },
      onkeydown: (/** @type {KeyboardEvent} */ event) => {
        const area = event.target instanceof HTMLTextAreaElement;
        if (event.key === "Enter" && (!area || event.ctrlKey || event.metaKey) && !(event.target instanceof HTMLButtonElement)) {
          event.preventDefault();
          void submit();
        }
      },
    },
    h("h2", { id: "dialog-title" }, question.title),
    (question.text ?? []).map((text) => (typeof text === "string" ? h("p", null, text) : text)),
    (question.fields ?? []).map((field) =>
      h(
        "div",
        { class: "field", key: field.name },
        h("label", { for: `field-${field.name}` }, field.label, field.required ? null : h("span", { class: "dim" }, " (optional)")),
        input(field),
        field.hint && h("p", { class: "hint", id: `field-${field.name}-hint` }, field.hint),
      ),
    ),
    error && h("p", { class: "problem", role: "alert" }, error, hint && h("span", { class: "way-out" }, hint)),
    h(
      "div",
      { class: "buttons" },
      h("button", { type: "button", class: "plain", disabled: busy ?? false, onclick: turnAway }, "Cancel"),
      h(
        "button",
        { type: "button", class: `go ${question.danger ? "danger" : "primary"}`, disabled: busy ?? false, onclick: () => void submit() },
        busy ? "Working…" : question.action,
      ),
    ),
  );
}
