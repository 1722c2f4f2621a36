// Restores scroll position and typed text in a page: see restore.rs, which fills in the two constants.
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
    // Notify the page's scripts, which may mirror the control.
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
  // Reports that the page is drawn as it was.
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

  // The engine restores a scroll position of its own, which may be an older one, when the page becomes visible and when
  // it considers the page loaded, which may be much later. Its restoration is turned off until then, and the position
  // is corrected for a while after it was reached: on a busy machine the engine has come more than a second late.
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
      // The engine's older position may have been reported, and a hidden page gets no scroll event of this one.
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
    // Called by the tab-host when the engine considers the page loaded. A value that the page set meanwhile cannot be
    // told apart, and is lost.
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
