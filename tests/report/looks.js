// Pages in frames of several widths in; what overflows, is clipped or touches a frame out, as JSON in #found.
function place(box) { return `${Math.round(box.left)}..${Math.round(box.right)} x ${Math.round(box.top)}..${Math.round(box.bottom)}` }

function name(e) {
  const text = (e.textContent || "").trim().replace(/\s+/g, " ").slice(0, 40)
  return `<${e.tagName.toLowerCase()} class="${e.getAttribute("class") || ""}"> ${text}`
}

function faults(page, view) {
  const found = [], root = page.documentElement, style = e => view.getComputedStyle(e)
  if (root.scrollWidth > root.clientWidth) found.push(`page is ${root.scrollWidth} px wide in ${root.clientWidth}`)
  for (const e of page.body.querySelectorAll("*:not(svg *)")) {
    if (e.tagName === "BR" || e.closest("svg *")) continue
    const scrolls = e.closest(".scroll, pre"), box = e.getBoundingClientRect()
    if (!scrolls && (box.right > root.clientWidth + 0.5 || box.left < -0.5)) found.push(`${name(e)} leaves the page: ${place(box)}`)
    const text = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim())
    if (e.clientWidth && text && !e.matches("pre") && e.scrollWidth > e.clientWidth + 1) found.push(`${name(e)} overflows its box: ${e.scrollWidth} in ${e.clientWidth}`)
    if (e.matches(".scroll") && e.scrollWidth > e.clientWidth + 1 && style(e).backgroundImage === "none") found.push(`${name(e)} scrolls without a hint`)
    if (e.matches("tr") && box.height > 180) found.push(`${name(e)} is ${Math.round(box.height)} px high`)
  }
  for (const svg of page.querySelectorAll("svg")) {
    const frame = svg.getBoundingClientRect(), title = svg.getAttribute("aria-label") || ""
    const about = `in "${title.slice(0, 40)}"`
    for (const e of svg.querySelectorAll("text, use, circle")) {
      if (e.closest("defs")) continue
      const box = e.getBoundingClientRect()
      if (box.left < frame.left - 1 || box.right > frame.right + 1 || box.top < frame.top - 1 || box.bottom > frame.bottom + 1)
        found.push(`${name(e)} ${about} leaves its picture: ${place(box)} of ${place(frame)}`)
    }
    for (const e of svg.querySelectorAll("use, path")) {
      const clipped = e.closest("[clip-path]")
      if (e.closest("defs, clipPath") || !clipped) continue
      const rect = svg.querySelector(`[id="${clipped.getAttribute("clip-path").slice(5, -1)}"] rect`)
      const clip = Object.fromEntries(["x", "y", "width", "height"].map(key => [key, +rect.getAttribute(key)]))
      const box = e.getBBox()
      if (e.tagName === "use") {
        if (box.x < clip.x - 0.5 || box.x + box.width > clip.x + clip.width + 0.5 || box.y < clip.y - 0.5 || box.y + box.height > clip.y + clip.height + 0.5)
          found.push(`marker at ${Math.round(box.x)}, ${Math.round(box.y)} ${about} is clipped`)
      } else if (e.parentNode.parentNode.id.includes("axes_") && e.parentNode.id.includes("line2d") && box.width > 0 && box.height > 0) {
        if (box.y < clip.y + 0.5 || box.y + box.height > clip.y + clip.height - 0.5) found.push(`curve ${about} touches its frame`)
      }
    }
    const texts = [...svg.querySelectorAll("text")].filter(e => !e.closest("defs")).map(e => [e, e.getBoundingClientRect()])
    texts.forEach(([one, a], i) => texts.slice(i + 1).forEach(([other, b]) => {
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left), high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)
      if (wide > 2 && high > 3) found.push(`"${one.textContent.trim()}" and "${other.textContent.trim()}" ${about} lie on each other`)
    }))
  }
  return found
}

addEventListener("load", () => {
  const found = {}
  for (const frame of document.querySelectorAll("iframe")) found[frame.title] = faults(frame.contentDocument, frame.contentWindow)
  document.getElementById("found").textContent = JSON.stringify(found)
})
