// The chrome's end of the bridge. ui-shell/src/bridge/mod.rs lists every message that may cross.

import type { FromChrome, ToChrome } from "./bindings";

declare global {
  interface Window { ipc: { postMessage(text: string): void } }
}

type Received<K extends ToChrome["type"]> = Extract<ToChrome, { type: K }>;
type Fields<K extends FromChrome["type"]> = Omit<Extract<FromChrome, { type: K }>, "type">;

const handlers = new Map<string, ((message: any) => void)[]>();

/** Runs `handler` for every message of this type. */
export const on = <K extends ToChrome["type"]>(type: K, handler: (message: Received<K>) => void) => {
  handlers.set(type, [...(handlers.get(type) ?? []), handler]);
};

/** Sends the shell a message. */
export const send = <K extends FromChrome["type"]>(type: K, fields?: Fields<K>) => window.ipc.postMessage(JSON.stringify({ type, ...fields }));

let requests = 0;
const waiting = new Map<number, (message: any) => void>();

/** Sends the shell a question, and returns its answer: the message of this type with the question's number. */
export const ask = <K extends "visits" | "complete" | "bookmarks" | "settings" | "findAnything" | "site" | "health", A extends "visits" | "completions" | "bookmarks" | "settings" | "found" | "site" | "health">(
  type: K, fields: Omit<Fields<K>, "request">, answer: A,
): Promise<Received<A>> => {
  const request = ++requests;
  if (!handlers.has(answer)) {
    on(answer, (message: { request: number }) => { waiting.get(message.request)?.(message); waiting.delete(message.request); });
  }
  send(type, { request, ...fields } as unknown as Fields<K>);
  return new Promise((resolve) => waiting.set(request, resolve));
};

/** Sets an element's text if it differs. Replacing a text node under a pressed pointer would lose the click. */
export const setText = (element: Element, text: string) => { if (element.textContent !== text) element.textContent = text; };

/** Sets an attribute only when it is another: writing the same again hides a tooltip. */
export const setAttribute = (element: Element, name: string, value: string) => {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
};

const afterwards: (() => void)[] = [];

/** Runs after each batch of messages. */
export const afterMessages = (run: () => void) => afterwards.push(run);

// The shell calls this; nothing else may replace it.
Object.defineProperty(window, "regen", {
  value: Object.freeze({
    receive(messages: ToChrome[]) {
      for (const message of messages) handlers.get(message.type)?.forEach((handler) => handler(message));
      afterwards.forEach((run) => run());
    },
  }),
});

let scheduled = false;

/** Reports the page's position and the parts that the chrome covers, once the current changes are made. It does not
 * wait for a frame: until the shell has the report, clicks on the page go to the chrome. */
export const layout = () => {
  if (scheduled) return;
  scheduled = true;
  queueMicrotask(() => {
    scheduled = false;
    const rect = (element: Element) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return { x, y, width, height };
    };
    const page = rect(document.getElementById("page")!);
    // A panel that opens by itself is placed below the notices, so that it never covers a question's buttons.
    document.documentElement.style.setProperty("--page-top", `${page.y}px`);
    const visible = (selector: string) => [...document.querySelectorAll(selector)].filter((element) => element.getClientRects().length);
    // Bubbles are visible but let clicks through. A shadow extends 30 pixels.
    const shown = visible("[data-cover], [data-bubble]").map((element) => {
      const { x, y, width, height } = rect(element);
      const edge = getComputedStyle(element).boxShadow === "none" ? 0 : 30;
      return { x: x - edge, y: y - edge, width: width + 2 * edge, height: height + 2 * edge };
    });
    send("layout", { page, covers: visible("[data-cover]").map(rect), shown });
  });
};
