// The page-agent's script half: see agent.rs. Runs in a script world of its own, in every frame, at document start.
(() => {
  "use strict";
  const post = (message) => window.webkit.messageHandlers.regen.postMessage(JSON.stringify({ page: globalThis.pageId ?? 0, ...message }));

  // Path of this frame: its indices from the main frame down.
  const framePath = () => {
    const path = [];
    for (let frame = window; frame !== frame.parent; frame = frame.parent) {
      const siblings = frame.parent.frames;
      let index = 0;
      while (index < siblings.length && siblings[index] !== frame) index += 1;
      path.unshift(index);
    }
    return path.join(".");
  };
  // Also used by restore.js, which runs in the same world.
  globalThis.framePath = framePath;

  // A field that was a password once stays one, even if a “show” button changes its type.
  const passwords = new WeakSet();
  const isPassword = (element) => {
    if (element.type === "password" || /-password$/.test(element.autocomplete || "")) passwords.add(element);
    return passwords.has(element);
  };
  window.addEventListener("focusin", (event) => isPassword(event.target), true);
  window.addEventListener("pointerdown", () => document.querySelectorAll("input[type=password]").forEach(isPassword), true);

  const secret = (element) =>
    isPassword(element) || element.type === "hidden" || element.type === "file" ||
    /\bcc-/.test(element.autocomplete || "") || /one-time-code/.test(element.autocomplete || "");

  // Returns a selector that finds a control again: by its ID, or by its place in the tree. In a shadow tree, the
  // host's selector comes first, and the steps are child indices: no CSS selector can begin at a shadow root.
  const selectorIn = (root, element) => {
    if (element === document.documentElement) return "html";
    if (element.id && root.getElementById(element.id) === element) return "#" + CSS.escape(element.id);
    const steps = [];
    for (let at = element; at && at !== document.documentElement; at = at.parentElement) {
      steps.unshift(Array.prototype.indexOf.call((at.parentElement ?? root).children, at));
    }
    return root === document ? "html > " + steps.map((index) => `:nth-child(${index + 1})`).join(" > ") : "/" + steps.join("/");
  };
  const selectorOf = (element) => {
    const root = element.getRootNode();
    const own = selectorIn(root, element);
    return root instanceof ShadowRoot ? [...[selectorOf(root.host)].flat(), own] : own;
  };

  const valueOf = (element) => {
    if (element.isContentEditable) return { html: element.innerHTML };
    if (element.type === "checkbox" || element.type === "radio") return { checked: element.checked };
    if (element.tagName === "SELECT") return { selected: Array.from(element.options, (option) => option.selected) };
    return { value: element.value };
  };

  const edited = new Set();
  let formTimer = 0;
  let formCost = 0;
  // Maximum characters of a document's text that are saved. The longest entries are left out first.
  const MAX_FORM = 1 << 20;
  const reportForms = () => {
    formTimer = 0;
    if (!edited.size) return;
    const began = performance.now();
    const edits = [];
    for (const element of edited) {
      if (!element.isConnected || secret(element)) continue;
      edits.push({ at: selectorOf(element), ...valueOf(element) });
    }
    const lengthOf = (edit) => (edit.value ?? edit.html ?? "").length;
    let room = MAX_FORM;
    const shortestFirst = edits.toSorted((one, other) => lengthOf(one) - lengthOf(other));
    const kept = new Set(shortestFirst.filter((edit) => (room -= lengthOf(edit)) >= 0));
    post({ kind: "form", frame: framePath(), edits: { url: location.href, edits: edits.filter((edit) => kept.has(edit)) } });
    formCost = performance.now() - began;
  };
  const onEdit = (event) => {
    if (!event.isTrusted && !event.composed) return;
    // In a shadow tree, the event's target is the tree's host.
    let element = event.composedPath()[0];
    if (!(element instanceof Element)) return;
    if (element.isContentEditable) {
      while (element.parentElement && element.parentElement.isContentEditable) element = element.parentElement;
    } else if (!("value" in element)) {
      return;
    }
    if (secret(element)) return;
    edited.add(element);
    if (element.type === "radio") {
      const group = element.getRootNode().querySelectorAll(`input[type=radio][name="${CSS.escape(element.name)}"]`);
      for (const other of group) edited.add(other);
    }
    if (!formTimer) formTimer = setTimeout(reportForms, 150 + 20 * formCost);
  };
  window.addEventListener("input", onEdit, true);
  window.addEventListener("change", onEdit, true);

  // The engine does not restore `history.state`. A state that JSON cannot represent is not saved.
  const MAX_STATE = 64 << 10;
  const isPlain = (value, depth = 0) => {
    if (value === null || typeof value === "string" || typeof value === "boolean") return true;
    if (typeof value === "number") return Number.isFinite(value);
    if (typeof value !== "object" || depth > 50) return false;
    if (!Array.isArray(value) && Object.getPrototypeOf(value) !== Object.prototype) return false;
    return Object.values(value).every((part) => isPlain(part, depth + 1));
  };
  let reportedState = null;
  const reportState = () => {
    const { state } = history;
    if (state === reportedState) return;
    reportedState = state;
    const json = isPlain(state) ? JSON.stringify(state) : "null";
    post({ kind: "state", url: location.href, state: json.length < MAX_STATE ? json : "null" });
  };

  let scrollTimer = 0;
  const reportScroll = () => {
    scrollTimer = 0;
    post({ kind: "scroll", x: window.scrollX, y: window.scrollY });
    reportState();
  };
  if (window === window.top) {
    window.addEventListener("scroll", () => {
      if (!scrollTimer) scrollTimer = setTimeout(reportScroll, 150);
    }, { capture: true, passive: true });
  }
  // Timers of a hidden page are slow, so report when it becomes hidden.
  document.addEventListener("visibilitychange", () => {
    if (document.visibilityState !== "hidden") return;
    reportStorage();
    if (formTimer) { clearTimeout(formTimer); reportForms(); }
    // A page that is hidden right after a scroll gets no scroll event.
    clearTimeout(scrollTimer);
    if (window === window.top) reportScroll();
  });

  // Session storage lives as long as the tab, but in the engine only as long as its process. No event reports a change.
  const MAX_STORAGE = 1 << 20;
  const LOOK = 1000;
  let reportedStorage = "[]";
  const reportStorage = () => {
    const items = [];
    let room = MAX_STORAGE;
    try {
      for (let i = 0; i < sessionStorage.length && room >= 0; i += 1) {
        const key = sessionStorage.key(i);
        const value = sessionStorage.getItem(key);
        room -= key.length + value.length;
        items.push([key, value]);
      }
    } catch {
      // A document with an opaque origin has no storage.
      return false;
    }
    // Part of the storage might be worse than none.
    const json = room < 0 ? "[]" : JSON.stringify(items);
    if (json === reportedStorage) return true;
    reportedStorage = json;
    post({ kind: "storage", origin: location.origin, items: json });
    return true;
  };
  const lookAtStorage = () => {
    const began = performance.now();
    if (reportStorage()) setTimeout(lookAtStorage, LOOK + 20 * (performance.now() - began));
  };
  setTimeout(lookAtStorage, LOOK);
  window.addEventListener("pagehide", reportStorage);

  // Called by the tab-host before a snapshot that must be up to date.
  globalThis.reportNow = () => {
    reportForms();
    reportStorage();
    if (window === window.top) reportScroll();
  };

  // Called by the tab-host before the browser quits. Returns whether the page would object to being left.
  globalThis.objects = () => {
    const event = document.createEvent("BeforeUnloadEvent");
    event.initEvent("beforeunload", false, true);
    window.dispatchEvent(event);
    return event.defaultPrevented || event.returnValue !== "";
  };

  // Called by the tab-host after a navigation within the document, and after a load. Neither reports the scroll
  // position, which may not be restored yet.
  globalThis.reportMove = () => {
    reportForms();
    reportState();
  };
  globalThis.reportState = reportState;

  // A page from the back/forward cache reports its state again.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    reportedState = undefined;
    globalThis.reportMove();
  });

  // The page may use a key before the browser does, and the wheel while Control is held. Whether it did is known once
  // all of its handlers have run.
  window.addEventListener("keydown", (event) => {
    if (!event.isTrusted || !(event.ctrlKey || event.altKey || event.metaKey || /^F\d/.test(event.key))) return;
    setTimeout(() => { if (event.defaultPrevented) post({ kind: "key" }); });
  }, true);
  // Runs after the page's handlers. A turn of the wheel that no handler used zooms, and does not scroll as well.
  const lastOfWheel = (event) => {
    if (event.defaultPrevented) return;
    event.preventDefault();
    post({ kind: "wheel", down: event.deltaY > 0 });
  };
  window.addEventListener("wheel", (event) => {
    if (!event.isTrusted || !event.ctrlKey || !event.deltaY) return;
    window.addEventListener("wheel", lastOfWheel, { passive: false });
    setTimeout(() => window.removeEventListener("wheel", lastOfWheel));
  }, { capture: true, passive: true });

  // The engine does not draw SVG icons. If a page has no other icon, it is drawn here.
  const ICON = 32;
  const MAX_ICON = 1 << 18;
  const drawIcon = async () => {
    const links = Array.from(document.querySelectorAll('link[rel~="icon" i]'));
    const isSvg = ({ type, href }) => /svg/i.test(type) || /^data:image\/svg|\.svg([?#]|$)/i.test(href);
    if (!links.length || !links.every(isSvg)) return;
    const text = await (await fetch(links.at(-1).href)).text();
    if (text.length > MAX_ICON) return;
    const image = new Image();
    // The page's content security policy for images applies to this one, too.
    image.src = `data:image/svg+xml,${encodeURIComponent(text)}`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: ICON, height: ICON });
    const painter = canvas.getContext("2d");
    painter.drawImage(image, 0, 0, ICON, ICON);
    const { data } = painter.getImageData(0, 0, ICON, ICON);
    post({ kind: "icon", side: ICON, rgba: btoa(String.fromCharCode(...data)) });
  };
  if (window === window.top) {
    // An icon that cannot be loaded is ignored.
    window.addEventListener("load", () => drawIcon().catch(() => {}), { once: true });
  }

  // Returns the bytes of a file in base64; null if it cannot be read. Synchronous, because the page may be gone soon.
  const contentOf = (file) => {
    const url = URL.createObjectURL(file);
    try {
      const request = new XMLHttpRequest();
      request.open("GET", url, false);
      request.overrideMimeType("text/plain; charset=x-user-defined");
      request.send();
      return Uint8Array.from(request.responseText, (letter) => letter.charCodeAt(0) & 0xff).toBase64();
    } catch {
      return null;
    } finally {
      URL.revokeObjectURL(url);
    }
  };

  // Reports the data of a submitted form, in case it goes to another site: the engine does not tell its embedder.
  let submitter = null;
  window.addEventListener("submit", (event) => { submitter = event.submitter; }, true);
  window.addEventListener("formdata", (event) => {
    const form = event.target;
    const by = submitter && submitter.form === form ? submitter : null;
    submitter = null;
    const attribute = (name, overriding) => (by && by.getAttribute(overriding)) || form.getAttribute(name) || "";
    if (attribute("method", "formmethod").toLowerCase() !== "post") return;
    const action = new URL(attribute("action", "formaction") || location.href, document.baseURI);
    const enctype = attribute("enctype", "formenctype").toLowerCase() || "application/x-www-form-urlencoded";
    // Only a form that carries its files to another host needs their contents here.
    const needed = enctype === "multipart/form-data" && action.hostname !== location.hostname;
    const entries = [];
    let incomplete = false;
    let room = 32 << 20;
    for (const [name, value] of event.formData) {
      if (typeof value === "string") {
        entries.push([name, value]);
        room -= value.length;
      } else {
        room -= value.size;
        const data = value.size === 0 || enctype !== "multipart/form-data" ? "" : needed && room >= 0 ? contentOf(value) : null;
        incomplete ||= data === null;
        entries.push([name, { name: value.name, type: value.type, data }]);
      }
    }
    incomplete ||= room < 0;
    post({ kind: "submit", action: action.href, enctype, entries: incomplete ? [] : entries, incomplete });
  }, true);
})();
