-- What Pandoc alone lacks of Quarto, for the constructs that the report uses and for nothing else:
-- format-dependent parts, numbered figures and tables with references, HTML tables and images on paper.

local is_html = FORMAT:match("html") ~= nil
local KINDS = { fig = "Figure", tbl = "Table" }
local numbers = {} -- label -> number
local counts = { fig = 0, tbl = 0 }

local function raw(text) return pandoc.RawBlock(is_html and "html" or "typst", text) end

local function kind_of(identifier)
  local prefix = identifier:match("^(%a+)%-")
  return KINDS[prefix] and prefix
end

-- Format-dependent parts ----------------------------------------------------------------------------------------

local function format_is(name)
  if name == "html" then return is_html end
  return name == FORMAT or (name == "pdf" and FORMAT == "typst")
end

local function visible_part(div)
  local when, unless = div.attributes["when-format"], div.attributes["unless-format"]
  if when == nil and unless == nil then return nil end
  local shown = (when == nil or format_is(when)) and (unless == nil or not format_is(unless))
  if div.classes:includes("content-hidden") then shown = not shown end
  return shown and div.content or pandoc.Blocks({})
end

-- Numbered figures and tables -----------------------------------------------------------------------------------

local function number_floats(doc)
  doc:walk({
    traverse = "topdown",
    Div = function(div)
      local kind = kind_of(div.identifier)
      if kind and not numbers[div.identifier] then
        counts[kind] = counts[kind] + 1
        numbers[div.identifier] = counts[kind]
      end
    end,
  })
end

local function float(div)
  local kind = kind_of(div.identifier)
  if not kind then return nil end
  local content = div.content:clone()
  local last = content[#content]
  local caption = pandoc.Inlines({})
  if last and last.t == "Para" then
    caption = last.content
    content:remove(#content)
  end
  local blocks = pandoc.Blocks({})
  if is_html then
    local name = string.format("%s\u{a0}%d", KINDS[kind], numbers[div.identifier])
    local head = pandoc.Inlines({ pandoc.Span(name, { class = "float-number" }), pandoc.Space() })
    head:extend(caption)
    local captioned = { raw("<figcaption>"), pandoc.Plain(head), raw("</figcaption>") }
    blocks:insert(raw(string.format("<figure id=\"%s\" class=\"float-%s\">", div.identifier, kind)))
    if kind == "tbl" then blocks:extend(captioned) end
    blocks:extend(content)
    if kind == "fig" then blocks:extend(captioned) end
    blocks:insert(raw("</figure>"))
  else
    blocks:insert(raw("#figure(["))
    blocks:extend(content)
    blocks:insert(raw("], caption: ["))
    blocks:insert(pandoc.Plain(caption))
    blocks:insert(raw(string.format("], kind: \"quarto-float-%s\", supplement: [%s]) <%s>", kind, KINDS[kind], div.identifier)))
  end
  return blocks
end

local function reference(cite)
  local label = cite.citations[1].id
  local kind = kind_of(label)
  if not kind then return nil end
  if not numbers[label] then error("reports/executive.qmd: @" .. label .. " refers to nothing in this report") end
  if is_html then
    return pandoc.Link(string.format("%s\u{a0}%d", KINDS[kind], numbers[label]), "#" .. label, "", { class = "reference" })
  end
  return pandoc.RawInline("typst", "#ref(<" .. label .. ">)")
end

-- Tables and images on paper --------------------------------------------------------------------------------------

local function html_table(block)
  if FORMAT ~= "typst" or block.format ~= "html" then return nil end
  local tables = pandoc.Blocks({})
  pandoc.read(block.text, "html"):walk({ Table = function(tbl) tables:insert(tbl) end })
  return tables
end

local function image(img)
  if FORMAT ~= "typst" then return nil end
  local quoted = function(text) return string.format("\"%s\"", text:gsub("\\", "\\\\"):gsub("\"", "\\\"")) end
  return pandoc.RawInline("typst", string.format("#image(%s, alt: %s)", quoted(img.src), quoted(img.attributes.alt or "")))
end

-- The passes. None returns what its own filter matches: that would loop. ------------------------------------------

return {
  { Div = visible_part },
  { RawBlock = html_table },
  { Image = image },
  { Pandoc = number_floats },
  { Cite = reference },
  { Div = float },
}
