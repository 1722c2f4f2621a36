(() => {
  const MAX_DEPTH = 500;
  let [node, depth] = [document.documentElement, 0];
  while (node) {
    if (depth > MAX_DEPTH) return "";
    if (node.firstElementChild) {
      node = node.firstElementChild;
      depth += 1;
      continue;
    }
    while (node && !node.nextElementSibling) {
      node = node.parentElement;
      depth -= 1;
    }
    node = node?.nextElementSibling ?? null;
  }
  return document.documentElement.outerHTML;
})()
