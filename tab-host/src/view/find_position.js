// Evaluates to the number of the match that a search has selected and the number of all matches, both counted in the rendered
// text, as “3 12”. The engine tells only how many there are. Empty if the selection is in no text of the page.
((needle) => {
  const MAX_NODES = 30_000;
  const selection = getSelection();
  if (!selection?.rangeCount) return "";
  const { startContainer, startOffset } = selection.getRangeAt(0);
  const collapsed = (text) => text.replace(/\s+/g, " ").toLowerCase();
  const wanted = collapsed(needle);
  if (!wanted) return "";
  const blocks = new Map();
  const blockOf = (element) => {
    if (!element || !blocks.has(element)) {
      const display = element ? getComputedStyle(element).display : "block";
      blocks.set(element, display.startsWith("inline") || display === "contents" ? blockOf(element.parentElement) : element);
    }
    return blocks.get(element);
  };
  const walker = document.createTreeWalker(document.body ?? document.documentElement, NodeFilter.SHOW_TEXT);
  let [text, at, block, nodes] = ["", -1, null, 0];
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    nodes += 1;
    if (nodes > MAX_NODES) return "";
    const parent = node.parentElement;
    if (!parent?.checkVisibility({ visibilityProperty: true })) continue;
    const own = blockOf(parent);
    if (own !== block) text += "\n";
    block = own;
    if (node === startContainer) at = text.length + collapsed(node.data.slice(0, startOffset)).length;
    text += collapsed(node.data);
  }
  if (at < 0) return "";
  let [position, all] = [0, 0];
  for (let found = text.indexOf(wanted); found >= 0; found = text.indexOf(wanted, found + wanted.length)) {
    all += 1;
    if (found <= at) position = all;
  }
  return `${position} ${all}`;
})
