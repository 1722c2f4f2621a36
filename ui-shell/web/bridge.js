// The chrome's end of the bridge. ui-shell/src/bridge.rs lists every message that may cross.

const handlers = new Map();

/** Runs `handler` for every message of this type. */
export const on = (type, handler) => handlers.set(type, [...(handlers.get(type) ?? []), handler]);

/** Sends the shell a message. */
export const send = (type, fields = {}) => window.ipc.postMessage(JSON.stringify({ type, ...fields }));

/** Sets an element's text if it differs. Replacing a text node under a pressed pointer would lose the click. */
export const setText = (element, text) => { if (element.textContent !== text) element.textContent = text; };

const afterwards = [];

/** Runs after each batch of messages. */
export const afterMessages = (run) => afterwards.push(run);

// The shell calls this; nothing else may replace it.
Object.defineProperty(window, "regen", {
  value: Object.freeze({
    receive(messages) {
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
    const rect = (element) => {
      const { x, y, width, height } = element.getBoundingClientRect();
      return { x, y, width, height };
    };
    const page = rect(document.getElementById("page"));
    // A panel that opens by itself is placed below the notices, so that it never covers a question's buttons.
    document.documentElement.style.setProperty("--page-top", `${page.y}px`);
    const visible = (selector) => [...document.querySelectorAll(selector)].filter((element) => element.getClientRects().length);
    // Bubbles are visible but let clicks through. A shadow extends 30 pixels.
    const shown = visible("[data-cover], [data-bubble]").map((element) => {
      const { x, y, width, height } = rect(element);
      const edge = getComputedStyle(element).boxShadow === "none" ? 0 : 30;
      return { x: x - edge, y: y - edge, width: width + 2 * edge, height: height + 2 * edge };
    });
    send("layout", { page, covers: visible("[data-cover]").map(rect), shown });
  });
};
