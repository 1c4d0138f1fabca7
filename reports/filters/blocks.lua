-- Notices, tabs and details, in both renderers. Before Quarto reads the document (pre-ast): without Bootstrap, which would bring
-- web fonts, it draws callouts as plain quotations.

local is_html = FORMAT:match("html") ~= nil
local KINDS = { note = "Note", tip = "Tip", warning = "Warning", important = "Important" }

local function raw(text) return pandoc.RawBlock(is_html and "html" or "typst", text) end

local function title_of(div, default)
  local first = div.content[1]
  if first and first.t == "Header" then
    div.content:remove(1)
    return first.content
  end
  return pandoc.Inlines(div.attributes.title or default)
end

local function callout(div)
  local kind
  for _, class in ipairs(div.classes) do kind = kind or class:match("^callout%-(%a+)$") end
  if not KINDS[kind] then return nil end
  local title = title_of(div, KINDS[kind])
  if is_html then
    local head = pandoc.Div(pandoc.Plain(title), { class = "notice-title" })
    local body = pandoc.Div(div.content, { class = "notice-body" })
    return pandoc.Div({ head, body }, pandoc.Attr(div.identifier, { "notice", "notice-" .. kind }, { role = "note" }))
  end
  local blocks = pandoc.Blocks({ raw("#notice(\"" .. kind .. "\", ["), pandoc.Plain(title), raw("], [") })
  blocks:extend(div.content)
  blocks:insert(raw("])"))
  return blocks
end

-- Tabs become an accordion, which needs no script; on paper they stay what they are: headings.
local tabsets = 0
local function tabset(div)
  if not div.classes:includes("panel-tabset") then return nil end
  if not is_html then return div.content end
  tabsets = tabsets + 1
  local blocks, open = pandoc.Blocks({}), false
  for _, block in ipairs(div.content) do
    if block.t == "Header" then
      if open then blocks:insert(raw("</details>")) end
      blocks:insert(raw(string.format("<details name=\"tabs-%d\"%s><summary>", tabsets, open and "" or " open")))
      blocks:insert(pandoc.Plain(block.content))
      blocks:insert(raw("</summary>"))
      open = true
    else
      blocks:insert(block)
    end
  end
  if open then blocks:insert(raw("</details>")) end
  return pandoc.Div(blocks, { class = "tabs" })
end

-- Details: folded on screen, left out on paper, gone where the run has none. A chart is drawn to its width when seen.
local function more(div)
  if not div.classes:includes("more") then return nil end
  if not is_html or #div.content == 0 then return pandoc.Blocks({}) end
  local blocks = pandoc.Blocks({
    raw("<details class=\"more\" ontoggle=\"window.dispatchEvent(new Event('resize'))\"><summary>"),
    pandoc.Plain(pandoc.Inlines(div.attributes.title or "More")),
    raw("</summary>"),
  })
  blocks:extend(div.content)
  blocks:insert(raw("</details>"))
  return blocks
end

-- Sentences that a run may lack, as one paragraph of those that it has.
local function joined(div)
  if not div.classes:includes("joined") then return nil end
  local text = pandoc.Inlines({})
  for _, block in ipairs(div.content) do
    if #text > 0 then text:insert(pandoc.Space()) end
    text:extend(block.content)
  end
  return #text > 0 and pandoc.Para(text) or pandoc.Blocks({})
end

return { { Div = function(div) return callout(div) or tabset(div) or more(div) or joined(div) end } }
