"""What a person would see at once: text that runs out of the window, and text that is too pale to read (WCAG AA)."""

from __future__ import annotations

from pathlib import Path

from chromium import settled
from playwright.sync_api import Page

FAULTS = """
() => {
  const found = [];
  const wide = document.documentElement.scrollWidth - window.innerWidth;
  if (wide > 0) found.push(`the page is ${wide} px wider than the window`);
  const rgb = text => { const m = text.match(/rgba?\\(([^)]+)\\)/); if (!m) return null;
    const p = m[1].split(/[ ,/]+/).map(Number); return {r: p[0], g: p[1], b: p[2], a: p.length > 3 ? p[3] : 1}; };
  const over = (top, back) => ({r: top.r * top.a + back.r * (1 - top.a), g: top.g * top.a + back.g * (1 - top.a), b: top.b * top.a + back.b * (1 - top.a), a: 1});
  const light = c => { const f = v => { v /= 255; return v <= 0.03928 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); };
    return 0.2126 * f(c.r) + 0.7152 * f(c.g) + 0.0722 * f(c.b); };
  const ratio = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const behind = element => { const layers = [];
    for (let e = element; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); if (c && c.a > 0) layers.push(c); if (c && c.a === 1) break; }
    let back = {r: 255, g: 255, b: 255, a: 1};
    for (const c of layers.reverse()) back = over(c, back);
    return back; };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim(), element = walker.currentNode.parentElement;
    if (!text || !element || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(element.tagName) || element.closest('svg, [disabled], [aria-disabled=true], .disabled')) continue;
    const box = element.getBoundingClientRect(), style = getComputedStyle(element);
    if (!box.width || !box.height || style.visibility === 'hidden' || !element.checkVisibility({opacityProperty: true, visibilityProperty: true})) continue;
    if (element.closest('[data-testid=stSidebar]') && document.querySelector('[data-testid=stSidebar]').getAttribute('aria-expanded') === 'false') continue;
    const ink = rgb(style.color);
    if (!ink) continue;
    const back = behind(element), contrast = ratio(over(ink, back), back), px = parseFloat(style.fontSize);
    const large = px >= 24 || (px >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (large ? 3 : 4.5)) found.push(`contrast ${contrast.toFixed(2)} of “${text.slice(0, 50)}” (${style.color} on rgb(${Math.round(back.r)}, ${Math.round(back.g)}, ${Math.round(back.b)}))`);
    if (box.right > window.innerWidth + 1 && !element.closest('.rf-scroll, [data-testid=stSidebar]')) found.push(`“${text.slice(0, 50)}” ends at ${Math.round(box.right)} px, outside the window`);
  }
  return [...new Set(found)].slice(0, 12);
}
"""  # noqa: E501 - JavaScript


def faults(page: Page, shot: Path) -> list[str]:
    """What is wrong with the page as it is drawn now; leaves a screenshot."""
    settled(page)
    shot.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=shot)
    return [f"{shot.stem}: {fault}" for fault in page.evaluate(FAULTS)]
