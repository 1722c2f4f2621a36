// Shields in a document: see shields.rs. Runs in the page-agent's world, in every frame, at document start, after
// agent.js. The page-agent has left the rules for this document in `globalThis.shields`.
(() => {
  "use strict";
  const rules = globalThis.shields;
  delete globalThis.shields;
  const runStandIn = globalThis.runStandIn;
  delete globalThis.runStandIn;
  // The engine refuses a stand-in if the page uses an integrity hash or CORS. Run it anyway, and tell the page that its
  // script has loaded.
  if (runStandIn) {
    const { src } = Object.getOwnPropertyDescriptors(HTMLScriptElement.prototype);
    window.addEventListener("error", (event) => {
      const script = event.target;
      if (!event.isTrusted || !(script instanceof HTMLScriptElement) || !runStandIn(src.get.call(script))) return;
      event.stopImmediatePropagation();
      script.dispatchEvent(new Event("load"));
    }, true);
  }
  if (!rules) return;
  const post = (message) => window.webkit.messageHandlers.regen.postMessage(JSON.stringify(message));
  // The generic rules are one style sheet for all documents. Reports whether it applies to this one.
  const common = () => post({ kind: "common", url: location.href, version: rules.common, filter: rules.filter });
  common();
  if (!(rules.generic || rules.policy || rules.hide.length || rules.procedural.length)) return;
  // A page can shadow the properties of an element, but not these.
  const { getAttribute, querySelectorAll } = Element.prototype;
  const HIDDEN = "display: none !important";
  // Attribute of elements that procedural rules hide. Its name is random, so that the page does not know it.
  const MARK = "data-" + Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => (byte % 26 + 10).toString(36)).join("");

  const plain = ({ selector, action }) =>
    selector.length === 1 && selector[0].type === "css-selector" && (!action || action.type === "style");
  const procedural = rules.procedural.map((rule) => JSON.parse(rule));
  const styles = [];
  for (const selector of rules.hide) styles.push(`${selector} { ${HIDDEN} }`);
  for (const rule of procedural.filter(plain)) styles.push(`${rule.selector[0].arg} { ${rule.action ? rule.action.arg : HIDDEN} }`);
  const style = () => {
    const url = location.href;
    if (styles.length) post({ kind: "style", url, css: styles.join("\n") });
    // Sent separately: the styles above are the same for all frames of a host, but the name of the mark is not.
    if (compiled.length) post({ kind: "style", url, css: `[${MARK}] { ${HIDDEN} }` });
  };

  // A policy takes effect only in the head, and before the content that it is about.
  if (rules.policy) {
    const insert = () => {
      if (!document.head) return false;
      for (const policy of rules.policy.split(",").reverse()) {
        const meta = document.createElement("meta");
        meta.httpEquiv = "Content-Security-Policy";
        meta.content = policy;
        document.head.prepend(meta);
        meta.remove();
      }
      return true;
    };
    if (!insert()) {
      const waiting = new MutationObserver(() => { if (insert()) waiting.disconnect(); });
      waiting.observe(document, { childList: true, subtree: true });
    }
  }

  // Returns a matcher for the text or /pattern/ of a rule.
  const matcher = (text) => {
    const pattern = /^\/(.*)\/([a-z]*)$/s.exec(text);
    if (pattern) {
      const regular = new RegExp(pattern[1], pattern[2].replace("g", ""));
      return (value) => regular.test(value);
    }
    return (value) => value.includes(text);
  };
  const unquoted = (text) => text.trim().replace(/^(["'])(.*)\1$/s, "$2");
  const property = (text, pseudo) => {
    const [name, value] = [text.slice(0, text.indexOf(":")).trim(), text.slice(text.indexOf(":") + 1).trim()];
    const matches = /^\/.*\/[a-z]*$/.test(value) ? matcher(value) : (found) => found === value;
    return (element) => matches(getComputedStyle(element, pseudo).getPropertyValue(name));
  };
  const attribute = (text) => {
    const at = text.indexOf("=");
    const [name, value] = at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + 1)];
    const named = /^"?\//.test(name) ? matcher(unquoted(name)) : (found) => found === unquoted(name);
    const valued = at < 0 ? () => true : /^"?\//.test(value) ? matcher(unquoted(value)) : (found) => found === unquoted(value);
    return (element) => Array.from(element.attributes).some((found) => named(found.name) && valued(found.value));
  };
  const above = (text) => {
    const steps = Number(text);
    if (!Number.isInteger(steps)) return (element) => element.parentElement && element.parentElement.closest(text);
    return (element) => {
      for (let step = 0; step < steps && element; step += 1) element = element.parentElement;
      return element;
    };
  };
  // Operators map elements to elements.
  const keep = (test) => (elements) => elements.filter(test);
  const place = (element) => Array.prototype.indexOf.call(element.parentElement.children, element) + 1;
  const select = (text) => (element) => {
    if (element === document) return Array.from(document.querySelectorAll(text));
    // “ > a” continues from the element; “a” tests the element itself.
    if (!/^[\s>+~]/.test(text)) return element.matches(text) ? [element] : [];
    if (!element.parentElement) return [];
    return Array.from(element.parentElement.querySelectorAll(`:scope > :nth-child(${place(element)})${text}`));
  };
  const operators = {
    "css-selector": (text) => (elements) => [...new Set(elements.flatMap(select(text)))],
    "has-text": (text) => { const matches = matcher(text); return keep((element) => matches(element.textContent)); },
    "matches-attr": (text) => keep(attribute(text)),
    "matches-css": (text) => keep(property(text, null)),
    "matches-css-before": (text) => keep(property(text, "::before")),
    "matches-css-after": (text) => keep(property(text, "::after")),
    "matches-path": (text) => { const matches = matcher(text); return keep(() => matches(location.pathname + location.search)); },
    "min-text-length": (text) => keep((element) => element.textContent.length >= Number(text)),
    upward: (text) => { const up = above(text); return (elements) => [...new Set(elements.map(up).filter(Boolean))]; },
    xpath: (text) => (elements) => elements.flatMap((element) => {
      const found = document.evaluate(text, element, null, XPathResult.ORDERED_NODE_SNAPSHOT_TYPE, null);
      return Array.from({ length: found.snapshotLength }, (_, index) => found.snapshotItem(index)).filter((node) => node instanceof Element);
    }),
  };
  const actions = {
    remove: () => (element) => element.remove(),
    style: (text) => {
      const done = new WeakSet();
      return (element) => {
        if (!done.has(element)) element.style.cssText += ";" + text;
        done.add(element);
      };
    },
    "remove-attr": (name) => (element) => { if (element.hasAttribute(name)) element.removeAttribute(name); },
    "remove-class": (name) => (element) => { if (element.classList.contains(name)) element.classList.remove(name); },
  };
  const compiled = [];
  for (const { selector, action } of procedural.filter((rule) => !plain(rule))) {
    try {
      const steps = selector.map(({ type, arg }) => operators[type](arg));
      compiled.push({ steps, act: action ? actions[action.type](action.arg) : null });
    } catch {
      // A rule that is not supported here hides nothing.
    }
  }
  const apply = () => {
    const hidden = new Set();
    for (const { steps, act } of compiled) {
      let elements = [document];
      try {
        for (const step of steps) elements = step(elements);
      } catch {
        continue;
      }
      for (const element of elements) {
        if (!(element instanceof Element)) continue;
        if (act) act(element);
        else hidden.add(element);
      }
    }
    for (const element of document.querySelectorAll(`[${MARK}]`)) if (!hidden.has(element)) element.removeAttribute(MARK);
    for (const element of hidden) if (!element.hasAttribute(MARK)) element.setAttribute(MARK, "");
  };

  // Each class and ID is queried once, when it first appears.
  const known = { classes: new Set(), ids: new Set() };
  let fresh = { classes: [], ids: [] };
  const LONGEST = 100; // characters of a name
  const AT_ONCE = 150; // names per query
  const MOST = 20000; // names per document
  const note = (name, kind) => {
    if (!name || name.length > LONGEST || !name.isWellFormed()) return;
    if (known[kind].has(name) || known[kind].size >= MOST) return;
    known[kind].add(name);
    fresh[kind].push(name);
  };
  const see = (element) => {
    if (!rules.generic) return;
    note(getAttribute.call(element, "id"), "ids");
    for (const name of (getAttribute.call(element, "class") || "").split(/\s+/)) note(name, "classes");
  };
  const ask = () => {
    while (fresh.classes.length || fresh.ids.length) {
      const [classes, ids] = [fresh.classes.splice(0, AT_ONCE), fresh.ids.splice(0, AT_ONCE)];
      post({ kind: "selectors", url: location.href, classes, ids, exceptions: rules.exceptions });
    }
  };

  let planned = false;
  let pause = 0; // ms
  const look = () => {
    planned = false;
    ask();
    if (!compiled.length) return;
    const began = performance.now();
    apply();
    // Uses at most a tenth of the page's time.
    pause = Math.min(10 * (performance.now() - began), 5000);
  };
  const plan = () => {
    if (planned) return;
    planned = true;
    // A hidden page gets no animation frames.
    if (pause || document.visibilityState === "hidden") setTimeout(look, Math.max(pause, 50));
    else requestAnimationFrame(look);
  };
  style();
  // The tab-host discards the styles of a page that is left.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    common();
    style();
    fresh = { classes: Array.from(known.classes), ids: Array.from(known.ids) };
    ask();
  });
  if (!rules.generic && !compiled.length) return;
  new MutationObserver((changes) => {
    let matters = false;
    for (const { type, target, attributeName, addedNodes } of changes) {
      if (type === "attributes") {
        if (attributeName === MARK) continue;
        see(target);
      }
      for (const node of addedNodes) {
        if (!(node instanceof Element)) continue;
        see(node);
        querySelectorAll.call(node, "[id],[class]").forEach(see);
      }
      matters = true;
    }
    if (matters) plan();
  }).observe(document, { childList: true, subtree: true, attributes: true, attributeFilter: ["class", "id"] });
  if (document.documentElement) see(document.documentElement);
})();
