// Replays scroll position and typed text into a page that came back: see restore.rs. The two constants are filled in.
(() => {
  "use strict";
  const forms = "$FORMS";
  const [scrollX, scrollY] = "$SCROLL";

  const PATIENCE = 10000;
  const GIVE_UP = Date.now() + PATIENCE;
  let touched = false;
  for (const kind of ["wheel", "keydown", "pointerdown", "touchstart"]) {
    window.addEventListener(kind, (event) => { touched = touched || event.isTrusted; }, { capture: true, passive: true });
  }

  const fill = (element, edit) => {
    if ("html" in edit) element.innerHTML = edit.html;
    else if ("checked" in edit) element.checked = edit.checked;
    else if ("selected" in edit) edit.selected.forEach((on, i) => { if (element.options[i]) element.options[i].selected = on; });
    else element.value = edit.value;
    // Scripts of the page that mirror a control must learn of it.
    element.dispatchEvent(new Event("input", { bubbles: true, composed: true }));
    element.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const findIn = (root, step) =>
    step.startsWith("/") ? step.slice(1).split("/").reduce((at, index) => at?.children[index], root) : root.querySelector(step);
  const find = (at) => [at].flat().reduce((found, step, index) => {
    const root = index ? found?.shadowRoot : document;
    return root && findIn(root, step);
  }, null);

  const mine = forms[globalThis.framePath()];
  let isBack = false;
  // Report that the page is drawn as it was.
  const back = () => {
    if (isBack || window !== window.top) return;
    isBack = true;
    const post = () => window.webkit.messageHandlers.regen.postMessage('{"kind":"back"}');
    requestAnimationFrame(() => requestAnimationFrame(post));
  };
  let waiting = mine && mine.url === location.href ? mine.edits.slice() : [];
  const fillWhatIsThere = () => {
    waiting = waiting.filter((edit) => {
      const element = find(edit.at);
      if (!element) return true;
      fill(element, edit);
      return false;
    });
    if (waiting.length && Date.now() < GIVE_UP) setTimeout(fillWhatIsThere, 100);
  };
  fillWhatIsThere();

  // The engine puts back a position of its own, which may be an older one, when the page is seen and when it takes it for
  // loaded, which may be long after: it is told not to until then, and being there once is not enough. On a machine with more
  // work than time the engine has come later than a second after that.
  const SETTLED = 3000;
  const engines = history.scrollRestoration;
  const isSeen = () => document.visibilityState === "visible";
  let until = GIVE_UP;
  let arrived = false;
  let again = 0;
  const scroll = () => {
    clearTimeout(again);
    if (touched || Date.now() > until) return back();
    if (Math.abs(window.scrollX - scrollX) > 1 || Math.abs(window.scrollY - scrollY) > 1) {
      window.scrollTo({ left: scrollX, top: scrollY, behavior: "instant" });
      // The engine's older position may have been reported, and a page that nobody sees gets no event of this one.
      globalThis.reportNow();
    } else if (!arrived && document.readyState === "complete" && isSeen()) {
      arrived = true;
      back();
      until = Math.min(until, Date.now() + SETTLED);
    }
    again = setTimeout(scroll, 100);
  };
  if (window === window.top && (scrollX || scrollY)) {
    history.scrollRestoration = "manual";
    // The tab-host says when the engine takes the page for loaded. What the page itself has chosen meanwhile cannot be told apart.
    globalThis.loaded = () => {
      history.scrollRestoration = engines;
      until = Math.max(until, Date.now() + SETTLED);
      scroll();
    };
    scroll();
    const whenSeen = () => {
      until = Date.now() + PATIENCE;
      scroll();
    };
    if (!isSeen()) document.addEventListener("visibilitychange", whenSeen, { once: true });
  } else {
    back();
  }
})();
